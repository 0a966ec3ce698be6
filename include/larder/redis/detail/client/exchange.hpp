// SPDX-License-Identifier: MIT

/// @file
/// Carries out calls over one connection.

#ifndef LARDER_REDIS_DETAIL_CLIENT_EXCHANGE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_EXCHANGE_HPP

#include <larder/detail/support/random.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/patience.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/redis/detail/client/socket.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// A connection, if it is open, and where calls that travel together are put together.
struct Line {
    std::unique_ptr<Connection> connection{};
    std::string scratch{};
};

/// Carries out a chain of calls over one connection, opening it if need be, in the thread of one of
/// them. Its end settles all that are left and wakes those of other threads; the connection is gone
/// if it saw any error.
///
/// Over a connection that broke nothing is lost that may be sent again: what the server cannot have
/// seen, and what is repeatable, goes over a new one, once, within the time that there is.
///
/// A large reply that takes its time is its caller's own affair: the others are sent on, the lane is
/// left to them, and if it is another's, that caller carries on in its own thread.
///
/// @tparam Lead  the lead of a lane: `connecting`, and `pass_on(Call* back)`
template <class Lead>
class Exchange {
public:
    using duration = std::chrono::steady_clock::duration;

    /// Over a connection of its own, which is kept afterwards.
    Exchange(Server& server, Call& mine) noexcept : server_{server}, mine_{mine} {}

    /// Over a lane's, for all that are linked behind the first, which leads.
    Exchange(Server& server, Call& mine, Line& line) noexcept
        : server_{server}, mine_{mine}, line_{&line} {}

    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    ~Exchange() {
        each([](Call& call) { call.fail(Call::Verdict::broken, nullptr); });
        wake_until(nullptr);
        server_.idle.keep(std::move(own_.connection));
    }

    /// @param lead  passed on as soon as nothing is left to be done in the lane; may be null
    void run(time_point now, Lead* lead = nullptr) noexcept {
        lead_ = lead;
        chain_ = &mine_;
        guarded([&] {
            if (may_ask(now)) {
                try_twice(now, false);
            }
        });
        leave_lane(nullptr);
    }

    /// Goes on with what another thread has begun, and handed to this call.
    void carry_on() noexcept {
        chain_ = &mine_;
        own_.connection = std::move(mine_.handed.connection);
        spoiled_ = mine_.handed.spoiled;
        patience_ = mine_.handed.patience;
        patience_.hand_to(mine_.time.deadline);
        began_ = mine_.time.start;
        guarded([&] { try_twice(began_, true); });
    }

private:
    // A large reply may take so much of the time of those that wait behind it.
    static constexpr std::chrono::milliseconds long_reply{5};

    template <class F>
    void guarded(F&& f) noexcept {
        try {
            f();
        } catch (...) {
            // Out of memory. What of it arrived is not known.
            line_->connection.reset();
            each([](Call& call) { call.fail(Call::Verdict::broken, nullptr); });
        }
    }

    [[nodiscard]] bool may_ask(time_point now) {
        if (server_.circuit.state() != Breaker::closed &&
            !any([](const Call& call) { return call.permit.probes(); })) {
            each([](Call& call) { call.fail(Call::Verdict::refused, nullptr); });
        }
        each([&](Call& call) {
            if (now >= call.time.deadline) {
                static const auto why =
                    std::make_shared<const std::string>("others before it took all of its time");
                call.fail(Call::Verdict::timed_out, why);
            }
        });
        return drop_settled();
    }

    void try_twice(time_point now, bool sent) {
        for (bool again = false;; again = true) {
            try {
                begin(sent);
                if (!sent) {
                    open(now, again);
                }
                const bool fresh = !sent && send(now, again);
                read(fresh);
                return;
            } catch (const Failed& failed) {
                now = std::chrono::steady_clock::now();
                line_->connection.reset();
                settle_after(failed, now, again);
                if (!drop_settled()) {
                    return;
                }
                sent = false;
            }
        }
    }

    void begin(bool sent) noexcept {
        at_ = chain_;
        left_ = 0;
        each([&](Call& call) { left_ += call.commands - call.answered; });
        era_ = sent ? line_->connection->era() : server_.circuit.era();
    }

    void open(time_point now, bool again) {
        patience_ = {};
        spoiled_ = false;
        auto& connection = line_->connection;
        if (connection && !connection->usable(era_, now)) {
            connection.reset();
        }
        if (!connection && !again) {
            connection = server_.idle.take(era_, now);
        }
        if (!connection) {
            connect();
        }
    }

    void connect() {
        began_ = std::chrono::steady_clock::now();
        struct Spent {
            ~Spent() { on.spent(std::chrono::steady_clock::now() - on.began_); }
            Exchange& on;
        } const spent{*this};
        server_.counters.add(Server::connects);
        const time_point until =
            (std::min)(began_ + server_.options.connect_timeout, chain_->time.latest);
        enough_ = until - began_ >= duration{server_.options.connect_timeout} / 2;
        line_->connection = std::make_unique<Connection>(server_.options, era_, until);
    }
    void spent(duration time) noexcept {
        each([&](Call& call) { call.time.put_off(time); });
        if (lead_ != nullptr) {
            lead_->connecting += time;
        }
        connected_ = true;
    }

    // Whether a read may wait for the whole time of a command.
    [[nodiscard]] bool send(time_point now, bool again) {
        std::string_view bytes = chain_->bytes;
        if (chain_->next != nullptr) {
            line_->scratch.clear();
            each([&](Call& call) { line_->scratch += call.bytes; });
            bytes = line_->scratch;
        }
        server_.counters.add(Server::round_trips);
        server_.counters.add(Server::commands, left_);
        server_.counters.add(Server::bytes_sent, bytes.size());
        if (again) {
            server_.counters.add(Server::resent, left_);
        }
        const duration timeout = server_.options.command_timeout;
        const bool in_time = !again && !std::exchange(connected_, false);
        began_ = in_time ? now : std::chrono::steady_clock::now();
        patience_ = {chain_->time.deadline, timeout};
        enough_ = again || chain_->time.deadline - began_ >= timeout / 2;
        struct Marks {
            ~Marks() { on.mark_sent(sent); }
            Exchange& on;
            std::size_t sent{0};
        } marks{*this};
        const bool at_once = line_->connection->send(bytes, marks.sent, left_, patience_, taker());
        return at_once && in_time &&
               now - chain_->time.start < Socket::fresh(server_.options.command_timeout);
    }

    void read(bool fresh) {
        line_->connection->read(left_, patience_, fresh, taker(),
                                [this](time_point now) { return goes_on(now); });
        if (line_->connection && (spoiled_ || !line_->connection->clean())) {
            line_->connection.reset();
        }
    }

    [[nodiscard]] auto taker() noexcept {
        return [this](Reply reply) {
            if (reply.is_error()) [[unlikely]] {
                server_.heard(reply);
            }
            at_->replies[at_->answered++] = std::move(reply);
            if (at_->answered == at_->commands) {
                at_ = at_->next;
            }
        };
    }

    // Of those that are sent together, those of which the kernel took a byte.
    void mark_sent(std::size_t sent) noexcept {
        std::size_t begin = 0;
        for (Call* call = chain_; call != nullptr && begin < sent; call = call->next) {
            call->sent = true;
            begin += call->bytes.size();
        }
    }

    // While large replies take their time. False: another carries on.
    [[nodiscard]] bool goes_on(time_point now) noexcept {
        if (now - began_ < long_reply) {
            return true;
        }
        wake_until(at_);
        if (lead_ != nullptr) {
            leave_to_others();
        }
        if (now >= patience_.deadline()) {
            forsake_others();
        }
        if (at_ == &mine_) {
            return true;
        }
        hand_on();
        return false;
    }

    // The lane, and what may be sent twice, to those who wait for no large reply.
    void leave_to_others() noexcept {
        own_ = std::move(*line_);
        line_ = &own_;
        Call* back = nullptr;
        const auto stays = [](const Call& call) { return !call.repeatable; };
        if (!any_from(at_->next, stays)) {
            back = forget_others();
            for (const Call* call = back; call != nullptr; call = call->next) {
                server_.counters.add(Server::resent, call->commands);
            }
        }
        leave_lane(back);
    }

    void leave_lane(Call* back) noexcept {
        if (lead_ != nullptr) {
            std::exchange(lead_, nullptr)->pass_on(back);
        }
    }

    // Those behind the large reply, when their time has passed.
    void forsake_others() noexcept {
        for (Call* call = forget_others(); call != nullptr;) {
            Call* const next = call->next;
            call->fail(Call::Verdict::timed_out, nullptr);
            call->wake(Call::done);
            call = next;
        }
    }

    [[nodiscard]] Call* forget_others() noexcept {
        left_ = at_->commands - at_->answered;
        spoiled_ = spoiled_ || at_->next != nullptr;
        return std::exchange(at_->next, nullptr);
    }

    void hand_on() noexcept {
        Call& to = *std::exchange(chain_, nullptr);
        to.handed = {std::move(own_.connection), patience_, spoiled_};
        to.wake(Call::carries);
    }

    void settle_after(const Failed& failed, time_point now, bool again) {
        const auto why = std::make_shared<const std::string>(failed.text);
        const bool broke = failed.kind == Failed::Kind::broken;
        if (blames_server(failed.kind, now, again)) {
            server_.circuit.failed(era_, now, larder::detail::random_fraction(),
                                   {failed.text, failed.kind == Failed::Kind::credentials});
        }
        each([&](Call& call) {
            if (!broke || again || now >= call.time.deadline || (call.sent && !call.repeatable)) {
                call.fail(verdict(failed.kind), why);
            } else {
                call.answered = 0;
            }
        });
    }

    // Whether all others should leave it alone for a while: not if a large reply was on its way, nor
    // if there was hardly any time left, nor if one connection broke.
    [[nodiscard]] bool blames_server(Failed::Kind kind, time_point now, bool again) const noexcept {
        switch (kind) {
            case Failed::Kind::broken: return again;
            case Failed::Kind::timed_out: return enough_ && !patience_.flows(now);
            default: return true;
        }
    }

    [[nodiscard]] static Call::Verdict verdict(Failed::Kind kind) noexcept {
        switch (kind) {
            case Failed::Kind::connect: return Call::Verdict::connect;
            case Failed::Kind::timed_out: return Call::Verdict::timed_out;
            case Failed::Kind::credentials: return Call::Verdict::credentials;
            case Failed::Kind::broken: break;
        }
        return Call::Verdict::broken;
    }

    // Leaves those of the chain that are not settled. False: there are none.
    [[nodiscard]] bool drop_settled() noexcept {
        Call** link = &chain_;
        Call* gone = nullptr;
        while (Call* const call = *link) {
            if (call->settled()) {
                *link = std::exchange(call->next, gone);
                gone = call;
            } else {
                link = &call->next;
            }
        }
        wake(gone, nullptr);
        return chain_ != nullptr;
    }

    // Those before one of the chain, which all are settled.
    void wake_until(Call* end) noexcept { wake(std::exchange(chain_, end), end); }

    void wake(Call* call, const Call* end) noexcept {
        while (call != end) {
            Call* const next = call->next;  // its caller goes on as soon as it is woken
            if (call != &mine_) {
                call->wake(Call::done);
            }
            call = next;
        }
    }

    // Those that are not settled.
    template <class F>
    void each(F&& f) {
        for (Call* call = chain_; call != nullptr; call = call->next) {
            if (!call->settled()) {
                f(*call);
            }
        }
    }
    template <class F>
    [[nodiscard]] static bool any_from(const Call* call, F&& f) {
        for (; call != nullptr; call = call->next) {
            if (f(*call)) {
                return true;
            }
        }
        return false;
    }
    template <class F>
    [[nodiscard]] bool any(F&& f) const {
        return any_from(chain_, f);
    }

    Server& server_;
    Call& mine_;
    Line own_{};
    Line* line_{&own_};
    Lead* lead_{nullptr};
    Call* chain_{nullptr};  // those of this attempt, in order
    Call* at_{nullptr};     // whose reply comes next
    std::size_t left_{0};   // replies
    Patience patience_{};
    std::uint64_t era_{0};
    time_point began_{};
    bool connected_{false};
    bool enough_{true};    // time, for a time-out to say anything of the server
    bool spoiled_{false};  // nobody wants all of the replies that are to come
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_EXCHANGE_HPP
