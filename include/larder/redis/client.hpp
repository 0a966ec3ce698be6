// SPDX-License-Identifier: MIT

/// @file
/// The connections to a Redis server, shared by any number of threads.

#ifndef LARDER_REDIS_CLIENT_HPP
#define LARDER_REDIS_CLIENT_HPP

#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/command_table.hpp>
#include <larder/redis/detail/client/connections.hpp>
#include <larder/redis/detail/client/in_hand.hpp>
#include <larder/redis/detail/client/namespaces.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/redis/url.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

/// What a client has counted since it was made; in a forked child since its first use there.
struct ClientStats {
    std::uint64_t round_trips{0};  ///< batches sent: one for all that travelled together
    std::uint64_t commands{0};     ///< commands in them
    std::uint64_t bytes_sent{0};   ///< bytes of these
    std::uint64_t connects{0};     ///< connections opened, or tried to
    std::uint64_t resent{0};       ///< commands sent again, over a new connection
};

/// A Redis server, asked over a few connections that all threads share.
///
/// ```cpp
/// redis::Client client{"redis://user:password@localhost:6379/2?name=shop"};
/// client.command("SET", "greeting", "hello", "PX", 60000);
/// std::cout << client.command("GET", "greeting").text();
/// ```
///
/// It is a handle: copies share the connections, which are opened when they are needed. Callers that
/// ask at the same time share round trips, without a thread of the client's own.
///
/// A call takes `command_timeout` at the most, and `connect_timeout` more if connections must be
/// opened for it: all of it together, with what is sent again and the wait for a connection. A bulk
/// pipeline and a blocking command have more (see `command_timeout`), and so have large replies:
/// once more than 64 KiB have come, one `command_timeout` more for every MiB that has arrived, in
/// proportion, but no longer than one after the last byte. Others do not wait behind them, and a
/// large reply that comes too slowly fails alone.
///
/// A connection that saw any error is closed. What the server cannot have seen, and what only reads
/// or is marked repeatable, is then sent once more over a new one, if there is time; of anything else
/// the exception says that the outcome is unknown. If that does not help, or after a time-out, the
/// server is not asked for a while: calls throw BreakerOpen at once, until one of them finds that it
/// is back. A server that answers READONLY, LOADING or MASTERDOWN has changed its role: all
/// connections are opened anew, at most once in `breaker`, since its name may lead elsewhere now.
///
/// In a child after fork() it opens connections of its own.
///
/// Thread safety: all members may run concurrently.
class Client {
public:
    /// @throws std::invalid_argument  as parse_url
    explicit Client(std::string_view url) : Client{parse_url(url)} {}

    /// @throws std::invalid_argument  naming the first field that makes no sense
    explicit Client(ClientOptions options)
        : core_{std::make_shared<detail::Connections>(std::move(options))} {}

    /// Carries out one command. Its words are texts and whole numbers.
    ///
    /// @throws ReplyError             the server answered with an error; AuthError if that is about
    ///                                user and password
    /// @throws NoReply                it did not answer: see there
    /// @throws std::invalid_argument  the command makes no sense on a shared connection
    template <detail::Wordy... Args>
    Reply command(std::string_view name, const Args&... args) const {
        Pipeline pipeline;
        pipeline.command(name, args...);
        Reply reply = run_one(pipeline);
        if (reply.is_error()) {
            throw_error(
                detail::shown(detail::formatted_at(detail::PipelineAccess::bytes(pipeline), 0)),
                reply);
        }
        return reply;
    }

    /// Carries out a pipeline.
    ///
    /// @return  a reply a command, in order; errors too are replies here
    /// @throws NoReply                there are no replies, or not all: see there
    /// @throws std::invalid_argument  a MULTI finds no EXEC
    [[nodiscard]] std::vector<Reply> run(const Pipeline& pipeline) const {
        std::vector<Reply> replies(pipeline.size());
        run_into(pipeline, replies.data());
        return replies;
    }

    /// Carries out a pipeline of one command: `run`, without the vector.
    [[nodiscard]] Reply run_one(const Pipeline& pipeline) const {
        if (pipeline.size() != 1) {
            throw std::invalid_argument{"larder: run_one takes a pipeline of one command"};
        }
        Reply reply;
        run_into(pipeline, &reply);
        return reply;
    }

    /// Throws what an error reply stands for.
    ///
    /// @param command  what was asked, as the error may show it: "GET product:42"
    [[noreturn]] void throw_error(std::string_view command, ReplyView reply) const {
        std::string text{reply.text()};
        if (text.starts_with("ERR unknown command")) {
            text.resize((std::min)(text.size(), text.find(", with args")));  // may be secrets
        }
        const std::string what = about(command) + text;
        if (detail::about_credentials(text)) {
            throw AuthError{what, text};
        }
        throw ReplyError{what, text};
    }

    /// Whether the server is being asked.
    [[nodiscard]] Breaker breaker() const noexcept {
        return core_->shared().server.circuit.state();
    }

    [[nodiscard]] ClientStats stats() const noexcept {
        const auto& counters = core_->shared().server.counters;
        using detail::Server;
        return {counters.sum(Server::round_trips), counters.sum(Server::commands),
                counters.sum(Server::bytes_sent), counters.sum(Server::connects),
                counters.sum(Server::resent)};
    }

    /// "127.0.0.1:6379", "[::1]:6379", "/run/redis.sock": for messages.
    [[nodiscard]] const std::string& name() const noexcept { return core_->name; }

    /// What of this process' calls is under way. For tests: all zero when none is.
    [[nodiscard]] detail::InHand in_hand() const noexcept { return core_->shared().in_hand(); }

    /// Those of the stores that use this client.
    [[nodiscard]] detail::Namespaces& namespaces() const noexcept { return core_->namespaces; }

    /// With the password, which `name` and exceptions never show.
    [[nodiscard]] const ClientOptions& options() const noexcept { return core_->options; }

private:
    [[nodiscard]] std::string about(std::string_view command) const {
        return "redis " + name() + ": " + std::string{command} + ": ";
    }

    void run_into(const Pipeline& pipeline, Reply* replies) const {
        if (pipeline.empty()) {
            return;
        }
        if (detail::PipelineAccess::in_multi(pipeline)) {
            throw std::invalid_argument{"larder: redis: MULTI without EXEC in the same pipeline"};
        }
        detail::CallTime time = time_of(pipeline);
        submit(pipeline, replies, time);
        std::vector<std::size_t> places;
        const Pipeline again = detail::PipelineAccess::unknown_scripts(pipeline, replies, places);
        if (!again.empty()) {
            std::vector<Reply> late(again.size());
            finish(again, late.data(), time, again.size() < pipeline.size());
            for (std::size_t i = 0; i < late.size(); ++i) {
                replies[places[i]] = std::move(late[i]);
            }
        }
    }

    [[nodiscard]] bool is_bulk(const Pipeline& pipeline) const noexcept {
        using Access = detail::PipelineAccess;
        return Access::bulk(pipeline) || Access::bytes(pipeline).size() > core_->options.bulk ||
               pipeline.size() > detail::bulk_commands;
    }

    [[nodiscard]] detail::CallTime time_of(const Pipeline& pipeline) const {
        using Access = detail::PipelineAccess;
        detail::CallTime time;
        time.start = std::chrono::steady_clock::now();
        if (const auto blocks = Access::blocks(pipeline); blocks != detail::for_ever) {
            // So that no sum of a day each overflows.
            constexpr std::size_t most = 16 * 1024;
            const std::size_t times =
                is_bulk(pipeline)
                    ? 1 + Access::bytes(pipeline).size() / (1024 * 1024) + pipeline.size() / 1024
                    : 1;
            time.deadline =
                time.start + blocks +
                core_->options.command_timeout * static_cast<std::int64_t>((std::min)(times, most));
            time.latest = time.deadline + core_->options.connect_timeout;
        }
        return time;
    }

    [[nodiscard]] static detail::Call call_of(const Pipeline& pipeline, Reply* replies,
                                              const detail::CallTime& time) {
        return {.bytes = detail::PipelineAccess::bytes(pipeline),
                .commands = pipeline.size(),
                .replies = replies,
                .repeatable = detail::PipelineAccess::repeatable(pipeline),
                .time = time};
    }

    // What it took of its time goes off that of the next attempt.
    void submit(const Pipeline& pipeline, Reply* replies, detail::CallTime& time) const {
        detail::Connections::Shared& shared = core_->shared();
        const bool blocks = detail::PipelineAccess::blocks(pipeline).count() > 0;
        const bool bulk = is_bulk(pipeline);
        detail::Call call = call_of(pipeline, replies, time);
        ask(shared, call, time.start);
        if (blocks && call.permit.probes()) {
            // It might keep all others waiting for as long as it blocks.
            probe(shared, call);
        }
        if (bulk || blocks) {
            shared.run_alone(call, bulk);
        } else {
            shared.run(call);
        }
        throw_failure(shared, call);
        time = call.time;
    }

    // The scripts whose bodies the server had not seen. Alone: nobody who came later is before it.
    //
    // @param partly  others of the pipeline have been carried out
    void finish(const Pipeline& pipeline, Reply* replies, const detail::CallTime& time,
                bool partly) const {
        detail::Connections::Shared& shared = core_->shared();
        detail::Call call = call_of(pipeline, replies, time);
        call.sent = partly;
        ask(shared, call, std::chrono::steady_clock::now());
        shared.run_alone(call, is_bulk(pipeline));
        throw_failure(shared, call);
    }

    void ask(detail::Connections::Shared& shared, detail::Call& call,
             detail::time_point now) const {
        call.permit = shared.server.circuit.ask(now);
        if (!call.permit.granted()) {
            throw_refused(shared, call);
        }
    }

    void probe(detail::Connections::Shared& shared, detail::Call& for_call) const {
        Pipeline ping;
        ping.command("PING");
        Reply pong;
        detail::CallTime time{.start = for_call.time.start};
        time.deadline = time.start + core_->options.command_timeout;
        time.latest = time.deadline + core_->options.connect_timeout;
        detail::Call call = call_of(ping, &pong, time);
        call.permit = std::move(for_call.permit);
        shared.run(call);
        throw_failure(shared, call);
    }

    // "GET product:42 and 7 more"
    [[nodiscard]] static std::string shown(const detail::Call& call) {
        std::size_t begin = 0;
        detail::Formatted command;
        const std::size_t which = (std::min)(call.answered, call.commands - 1);
        for (std::size_t i = 0; i <= which; ++i) {
            command = detail::formatted_at(call.bytes, begin);
            begin = command.end;
        }
        std::string text = detail::shown(command);
        if (call.commands > 1) {
            text += " (of " + std::to_string(call.commands) + " commands)";
        }
        return text;
    }

    [[noreturn]] void throw_refused(detail::Connections::Shared& shared,
                                    const detail::Call& call) const {
        const auto refusal = shared.server.circuit.refusal();
        if (refusal->credentials) {
            throw AuthError{about(shown(call)) + refusal->why, refusal->why};
        }
        throw BreakerOpen{
            about(shown(call)) + "not asked, since it failed a moment ago: " + refusal->why,
            outcome_of(call)};
    }

    [[nodiscard]] static Outcome outcome_of(const detail::Call& call) noexcept {
        return call.sent ? Outcome::unknown : Outcome::not_sent;
    }

    void throw_failure(detail::Connections::Shared& shared, detail::Call& call) const {
        using Verdict = detail::Call::Verdict;
        if (call.verdict == Verdict::none) {
            call.permit.succeeded();
            return;
        }
        if (call.verdict == Verdict::refused) {
            throw_refused(shared, call);
        }
        const Outcome outcome = outcome_of(call);
        const std::string why = call.why                             ? *call.why
                                : call.verdict == Verdict::timed_out ? "no reply"
                                                                     : "out of memory";
        if (call.verdict == Verdict::credentials) {
            throw AuthError{about(shown(call)) + why, why};
        }
        std::string what = about(shown(call));
        what += call.verdict == Verdict::connect     ? "cannot connect: "
                : call.verdict == Verdict::timed_out ? "timed out: "
                                                     : "the connection broke: ";
        what += why;
        what += call.sent ? "; it may have been carried out" : "; it was not sent";
        switch (call.verdict) {
            case Verdict::connect: throw ConnectError{what, outcome};
            case Verdict::timed_out: throw TimeoutError{what, outcome};
            default: throw ConnectionError{what, outcome};
        }
    }

    std::shared_ptr<detail::Connections> core_;
};

/// Throws what an error reply stands for: Client::throw_error.
[[noreturn]] inline void throw_error(const Client& client, std::string_view command,
                                     ReplyView reply) {
    client.throw_error(command, reply);
}

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_CLIENT_HPP
