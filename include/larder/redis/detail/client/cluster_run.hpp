// SPDX-License-Identifier: MIT

/// @file
/// A pipeline for the nodes of a cluster.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CLUSTER_RUN_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CLUSTER_RUN_HPP

#include <larder/detail/support/random.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/call_failure.hpp>
#include <larder/redis/detail/client/call_time.hpp>
#include <larder/redis/detail/client/circuit_breaker.hpp>
#include <larder/redis/detail/client/cluster.hpp>
#include <larder/redis/detail/client/cluster_node.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/command_order.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/node_part.hpp>
#include <larder/redis/detail/client/pipeline_calls.hpp>
#include <larder/redis/detail/client/process_connections.hpp>
#include <larder/redis/detail/client/redirection.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/routed_unit.hpp>
#include <larder/redis/detail/client/semaphore.hpp>
#include <larder/redis/detail/client/server_calls.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Carries out one pipeline: takes it apart, sends to each node what is its, reads the replies of all,
/// and sends again what was not carried out, where the nodes say. Rule R11.
class ClusterRun {
public:
    /// @param replies  as many as there are commands; all three must outlive it
    ClusterRun(Cluster& cluster, const Pipeline& pipeline, Reply* replies)
        : cluster_{cluster},
          pipeline_{pipeline},
          replies_{replies, pipeline.size()},
          units_{routed_units(pipeline)} {}

    /// @throws NoReply  there are no replies, or not all
    void run() {
        const time_point start = std::chrono::steady_clock::now();
        view_ = known(start);
        time_ = time_of(pipeline_, cluster_.options);
        for (bool first = true;; first = false) {
            place();
            divide();
            exchange(first);
            for (auto& part : parts_) {
                collect(*part);
                note_failure(part);
            }
            if (units_.size() > 1 && any_pending()) {
                keep_order(units_);
            }
            if (!any_pending()) {
                break;
            }
            std::this_thread::sleep_for(std::exchange(pause_, RedirectionSteps::duration::zero()));
            view_ = cluster_.view();
        }
        if (suspects_) {
            cluster_.look(std::chrono::steady_clock::now());
        }
        if (failed_ != nullptr) {
            fail();
        }
    }

private:
    using NodePtr = Cluster::NodePtr;
    using Part = NodePart;

    // A node that is away is looked for so often elsewhere.
    static constexpr std::size_t most_elsewhere = 2;

    [[nodiscard]] Cluster::ViewPtr known(time_point now) {
        try {
            return cluster_.view(now, now + cluster_.options.connect_timeout);
        } catch (const ConnectionFailure& failed) {
            const std::string about = about_call(
                cluster_.name, describe(parse_command(PipelineAccess::bytes(pipeline_), 0)));
            if (failed.kind == ConnectionFailure::Kind::credentials) {
                throw AuthError{about + failed.text, failed.text};
            }
            throw ConnectError{about + "cannot connect: " + failed.text + "; it was not sent",
                               Outcome::not_sent};
        }
    }

    [[nodiscard]] bool any_pending() const noexcept {
        return std::any_of(units_.begin(), units_.end(),
                           [](const RoutedUnit& unit) { return unit.pending; });
    }

    // Finds a node for all that are to be sent.
    void place() {
        NodePtr before;
        for (RoutedUnit& unit : units_) {
            unit.sent = unit.pending;
            if (unit.pending) {
                if (!unit.to && unit.slot) {
                    unit.to = view_->owner(*unit.slot);
                }
                if (!unit.to) {
                    unit.to = before ? before : node_for_any();
                }
            }
            before = unit.to;
        }
    }

    // That of the first command with a key; else one that answers.
    [[nodiscard]] NodePtr node_for_any() {
        for (const RoutedUnit& unit : units_) {
            if (NodePtr owner = unit.slot ? view_->owner(*unit.slot) : nullptr) {
                return owner;
            }
        }
        NodePtr any = cluster_.any_node();
        return any ? any : view_->owners.front();
    }

    void divide() {
        parts_.clear();
        for (RoutedUnit& unit : units_) {
            if (unit.pending) {
                part_for(unit.to).units.push_back(&unit);
            }
        }
        for (const auto& part : parts_) {
            part->write(pipeline_, units_.size(), replies_.data());
        }
    }

    Part& part_for(const NodePtr& node) {
        const auto found = std::find_if(parts_.begin(), parts_.end(),
                                        [&](const auto& part) { return part->node == node; });
        if (found != parts_.end()) {
            return **found;
        }
        parts_.push_back(std::make_unique<Part>(node));
        return *parts_.back();
    }

    // Sends to all, then reads from all. Afterwards each call has replies, or has failed.
    void exchange(bool first) {
        const bool bulk = is_bulk(pipeline_, cluster_.options);
        const bool blocks = PipelineAccess::blocks(pipeline_).count() > 0;
        const time_point now = std::chrono::steady_clock::now();
        for (const auto& part : parts_) {
            part->call.time = time_;
            part->call.time.start = now;
            ask(*part, blocks, now);
        }
        if (parts_.size() > 1) {
            exchange_all(first, bulk, blocks);
        } else if (Part& only = *parts_.front(); only.call.failure == Call::Failure::none) {
            // With less time than others it must not lead them.
            first && !bulk && !blocks ? only.node->connections.run(only.call)
                                      : only.node->connections.run_alone(only.call, bulk, blocks);
        }
    }

    void exchange_all(bool first, bool bulk, bool blocks) {
        const Semaphore::Permit permit =
            bulk ? cluster_.bulk.acquire(time_.deadline) : Semaphore::Permit{};
        const time_point now = std::chrono::steady_clock::now();
        std::vector<Part*> shared;
        for (const auto& part : parts_) {
            if (part->call.failure != Call::Failure::none) {
                continue;
            }
            if (bulk && !permit) {
                static const auto why = std::make_shared<const std::string>(
                    "all connections for bulk pipelines are in use");
                part->call.fail(Call::Failure::timed_out, why);
            } else if (first && !bulk && !blocks && part->node->connections.crowded()) {
                shared.push_back(part.get());
            } else {
                part->halves.emplace(part->node->connections, part->call, blocks);
                part->halves->send(begin_now(*part, now));
            }
        }
        for (Part* const part : shared) {
            run_shared(*part);
        }
        for (const auto& part : parts_) {
            if (part->halves) {
                part->halves->finish();
                part->halves.reset();
            }
        }
    }

    // When that is. What it took to connect to other nodes is not its time.
    static time_point begin_now(Part& part, time_point start) noexcept {
        const time_point now = std::chrono::steady_clock::now();
        part.call.time.extend(now - start);
        return now;
    }

    // In a crowd, at whose nodes callers share round trips rather than have connections of their own.
    void run_shared(Part& part) const {
        const time_point now = begin_now(part, part.call.time.start);
        part.call.time.start = now;
        if (part.call.time.deadline - now < cluster_.options.command_timeout / 2) {
            part.node->connections.run_alone(part.call, false, false);
        } else {
            part.node->connections.run(part.call);
        }
    }

    void ask(Part& part, bool blocks, time_point now) const {
        part.call.permission = part.node->connections.server.breaker.request(now);
        if (!part.call.permission.granted()) {
            part.call.failure = Call::Failure::refused;
        } else if (blocks && part.call.permission.is_probe()) {
            ServerCalls{part.node->connections}.probe(part.call);
        }
    }

    void collect(Part& part) {
        if (part.call.failure == Call::Failure::none) {
            part.call.permission.succeeded();
        }
        part.call.permission = {};
        time_.deadline = (std::max)(time_.deadline, part.call.time.deadline);
        std::size_t at = 0;
        bool served = false;
        for (RoutedUnit* unit : part.units) {
            at += unit->asking ? 1 : 0;
            if (at + unit->count > part.call.answered) {
                unanswered(part, *unit);
                continue;
            }
            if (!part.whole) {
                std::move(part.replies.begin() + static_cast<std::ptrdiff_t>(at),
                          part.replies.begin() + static_cast<std::ptrdiff_t>(at + unit->count),
                          replies_.begin() + static_cast<std::ptrdiff_t>(unit->first));
            }
            at += unit->count;
            answered(*unit);
            served = served || !unit->pending;
        }
        carried_out_ = carried_out_ || served;
    }

    [[nodiscard]] RedirectionSteps::duration left() const {
        const time_point deadline = time_.deadline == never
                                        ? time_.start + cluster_.options.command_timeout
                                        : time_.deadline;
        return deadline - std::chrono::steady_clock::now();
    }

    void answered(RoutedUnit& unit) {
        unit.pending = unit.late = false;
        unit.told = true;
        const Reply& last = replies_[unit.first + unit.count - 1];
        if (!last.is_error()) [[likely]] {
            if (unit.away && unit.slot) {
                unit.away->was_replaced();
            }
            return;
        }
        if (last.text().starts_with("NOSCRIPT") &&
            PipelineAccess::is_script(pipeline_, unit.first) &&
            left() > RedirectionSteps::duration::zero()) {
            unit.with_body = unit.late = unit.pending = true;
            unit.told = false;  // that it is not known is nobody's answer
            return;
        }
        const Redirection redirection = unit.redirection(replies_);
        if (redirection.kind == Redirection::Kind::moved) {
            suspect(redirection.to);
        } else if (redirection.kind == Redirection::Kind::down || about_role(last.text())) {
            suspect(std::nullopt);
        }
        if (redirection.kind == Redirection::Kind::try_again &&
            PipelineAccess::takes_torn(pipeline_)) {
            return;
        }
        const RedirectionSteps::Step step = unit.steps.next(redirection.kind, left());
        if (step.what == RedirectionSteps::Do::deliver) {
            give_up_on(*unit.to, redirection.kind, last.text());
            return;
        }
        pause_ = (std::max)(pause_, step.pause);
        unit.pending = true;
        unit.asking = step.what == RedirectionSteps::Do::ask;
        unit.to =
            step.what == RedirectionSteps::Do::reroute ? nullptr : cluster_.node(redirection.to);
        if (unit.away && unit.to && unit.to != unit.away) {
            unit.away->was_replaced();
        }
    }

    void suspect(std::optional<Endpoint> knows) {
        cluster_.suspect(std::move(knows));
        suspects_ = true;
    }

    // A call has waited for the cluster for all of its time: the next need not.
    static void give_up_on(ClusterNode& node, Redirection::Kind kind, std::string_view why) {
        if (kind == Redirection::Kind::down && why == "CLUSTERDOWN The cluster is down") {
            CircuitBreaker& breaker = node.connections.server.breaker;
            breaker.trip(breaker.era(), std::chrono::steady_clock::now(),
                         larder::detail::random_fraction(), {std::string{why}, false});
        }
    }

    // Goes to another node, if it may be sent again, and one knows of it. Where nothing but its time has
    // passed since a node refused it, that is what became of it.
    void unanswered(Part& part, RoutedUnit& unit) {
        const Call& call = part.call;
        unit.told = unit.told && !call.sent;
        if (unit.told && call.failure == Call::Failure::timed_out &&
            left() <= RedirectionSteps::duration::zero()) {
            unit.pending = false;
            const Redirection::Kind refusal = unit.redirection(replies_).kind;
            give_up_on(*unit.to, refusal, replies_[unit.first + unit.count - 1].text());
            return;
        }
        const bool may =
            (!call.sent || unit.repeatable) && call.failure != Call::Failure::credentials &&
            unit.elsewhere < most_elsewhere && left() > RedirectionSteps::duration::zero();
        NodePtr next = may ? instead_of(part, unit) : nullptr;
        if (!next) {
            for (Reply& reply : replies_.subspan(unit.first, unit.count)) {
                reply = {};  // those of an earlier try fit to none of the others any more
            }
            unit.pending = false;
            part.failed = true;
            return;
        }
        ++unit.elsewhere;
        unit.away = part.node;
        unit.to = std::move(next);
        unit.asking = false;
    }

    [[nodiscard]] NodePtr instead_of(Part& part, const RoutedUnit& unit) {
        if (!part.asks_another) {
            const time_point now = std::chrono::steady_clock::now();
            cluster_.suspect();
            cluster_.look(now);
            part.asks_another = part.node->may_ask_another(now);
        }
        if (unit.slot) {
            NodePtr owner = cluster_.view()->owner(*unit.slot);
            if (owner && owner != part.node) {
                return owner;
            }
        }
        return *part.asks_another || !unit.slot ? cluster_.any_node(part.node.get()) : nullptr;
    }

    // What other nodes are to do they do all the same: a caller may use the replies that are there.
    void note_failure(std::unique_ptr<Part>& part) noexcept {
        if (part->failed && failed_ == nullptr) {
            failed_ = std::move(part);
        } else if (part->failed) {
            carried_out_ = carried_out_ || part->call.sent;
        }
    }

    [[noreturn]] void fail() {
        failed_->call.sent = failed_->call.sent || carried_out_;
        ServerCalls{failed_->node->connections}.settle(failed_->call);
        throw ConnectionError{about_call(cluster_.name, describe(failed_->call)) + "no reply",
                              Outcome::unknown};
    }

    Cluster& cluster_;
    const Pipeline& pipeline_;
    const std::span<Reply> replies_;
    std::vector<RoutedUnit> units_;
    Cluster::ViewPtr view_{};
    CallTime time_{};
    std::vector<std::unique_ptr<Part>> parts_{};
    RedirectionSteps::duration pause_{0};
    std::unique_ptr<Part> failed_{};  // the first
    bool carried_out_{false};         // some of it
    bool suspects_{false};            // that the map is old
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CLUSTER_RUN_HPP
