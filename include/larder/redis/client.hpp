// SPDX-License-Identifier: MIT

/// @file
/// The connections to a Redis server, shared by any number of threads.

#ifndef LARDER_REDIS_CLIENT_HPP
#define LARDER_REDIS_CLIENT_HPP

#include <larder/redis/detail/client/argument.hpp>
#include <larder/redis/detail/client/blocking_time.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/call_time.hpp>
#include <larder/redis/detail/client/client_in_hand.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/connections.hpp>
#include <larder/redis/detail/client/namespaces.hpp>
#include <larder/redis/detail/client/process_connections.hpp>
#include <larder/redis/detail/client/server.hpp>
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
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

/// What a client has counted since it was made; in a forked child since its first use there.
struct ClientStats {
    std::uint64_t round_trips{0};  ///< batches sent: one for all that were sent together
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
/// A server that gives no further connection is not one that failed: calls go over those that it
/// gave, but for those that block. A connection that was not used for ten seconds is closed by the
/// next call over any.
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
        : connections_{std::make_shared<detail::Connections>(std::move(options))} {}

    /// Carries out one command. Its words are texts and whole numbers.
    ///
    /// @throws ReplyError             the server answered with an error; AuthError if that is about
    ///                                user and password
    /// @throws NoReply                it did not answer: see there
    /// @throws std::invalid_argument  the command makes no sense on a shared connection
    template <detail::CommandArgument... Args>
    Reply command(std::string_view name, const Args&... args) const {
        Pipeline pipeline;
        pipeline.command(name, args...);
        Reply reply = run_one(pipeline);
        if (reply.is_error()) {
            throw_error(
                detail::describe(detail::parse_command(detail::PipelineAccess::bytes(pipeline), 0)),
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

    /// The same, into replies of the caller's: as many as there are commands.
    void run(const Pipeline& pipeline, std::span<Reply> replies) const {
        if (replies.size() != pipeline.size()) {
            throw std::invalid_argument{"larder: redis: not as many replies as commands"};
        }
        run_into(pipeline, replies.data());
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
        return connections_->current().server.breaker.state();
    }

    /// What was counted so far.
    [[nodiscard]] ClientStats stats() const noexcept {
        const auto& counters = connections_->current().server.counters;
        using detail::Server;
        return {counters.sum(Server::round_trips), counters.sum(Server::commands),
                counters.sum(Server::bytes_sent), counters.sum(Server::connects),
                counters.sum(Server::resent)};
    }

    /// "127.0.0.1:6379", "[::1]:6379", "/run/redis.sock": for messages.
    [[nodiscard]] const std::string& name() const noexcept { return connections_->name; }

    /// What of this process' calls is under way. For tests: all zero when none is.
    [[nodiscard]] detail::ClientInHand in_hand() const noexcept {
        return connections_->current().in_hand();
    }

    /// Those of the stores that use this client.
    [[nodiscard]] detail::Namespaces& namespaces() const noexcept {
        return connections_->namespaces;
    }

    /// With the password, which `name` and exceptions never show.
    [[nodiscard]] const ClientOptions& options() const noexcept { return connections_->options; }

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
        return Access::bulk(pipeline) ||
               Access::bytes(pipeline).size() > connections_->options.bulk ||
               pipeline.size() > bulk_commands;
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
            time.deadline = time.start + blocks +
                            connections_->options.command_timeout *
                                static_cast<std::int64_t>((std::min)(times, most));
            time.latest = time.deadline + connections_->options.connect_timeout;
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
        detail::ProcessConnections& process = connections_->current();
        const bool blocks = detail::PipelineAccess::blocks(pipeline).count() > 0;
        const bool bulk = is_bulk(pipeline);
        detail::Call call = call_of(pipeline, replies, time);
        ask(process, call, time.start);
        if (blocks && call.permission.is_probe()) {
            // It might keep all others waiting for as long as it blocks.
            probe(process, call);
        }
        if (bulk || blocks) {
            process.run_alone(call, bulk, blocks);
        } else {
            process.run(call);
        }
        throw_failure(process, call);
        time = call.time;
    }

    // The scripts whose bodies the server had not seen. Alone: nobody who came later is before it.
    //
    // @param partly  others of the pipeline have been carried out
    void finish(const Pipeline& pipeline, Reply* replies, const detail::CallTime& time,
                bool partly) const {
        detail::ProcessConnections& process = connections_->current();
        detail::Call call = call_of(pipeline, replies, time);
        call.sent = partly;
        ask(process, call, std::chrono::steady_clock::now());
        process.run_alone(call, is_bulk(pipeline),
                          detail::PipelineAccess::blocks(pipeline).count() > 0);
        throw_failure(process, call);
    }

    void ask(detail::ProcessConnections& process, detail::Call& call,
             detail::time_point now) const {
        call.permission = process.server.breaker.request(now);
        if (!call.permission.granted()) {
            throw_refused(process, call);
        }
    }

    void probe(detail::ProcessConnections& process, detail::Call& for_call) const {
        Pipeline ping;
        ping.command("PING");
        Reply pong;
        detail::CallTime time{.start = for_call.time.start};
        time.deadline = time.start + connections_->options.command_timeout;
        time.latest = time.deadline + connections_->options.connect_timeout;
        detail::Call call = call_of(ping, &pong, time);
        call.permission = std::move(for_call.permission);
        process.run(call);
        throw_failure(process, call);
    }

    // "GET product:42 and 7 more"
    [[nodiscard]] static std::string describe(const detail::Call& call) {
        std::size_t begin = 0;
        detail::ParsedCommand command;
        const std::size_t which = (std::min)(call.answered, call.commands - 1);
        for (std::size_t i = 0; i <= which; ++i) {
            command = detail::parse_command(call.bytes, begin);
            begin = command.end;
        }
        std::string text = detail::describe(command);
        if (call.commands > 1) {
            text += " (of " + std::to_string(call.commands) + " commands)";
        }
        return text;
    }

    [[noreturn]] void throw_refused(detail::ProcessConnections& process,
                                    const detail::Call& call) const {
        const auto reason = process.server.breaker.reason();
        if (reason->credentials) {
            throw AuthError{about(describe(call)) + reason->text, reason->text};
        }
        throw BreakerOpen{
            about(describe(call)) + "not asked, since it failed a moment ago: " + reason->text,
            outcome_of(call)};
    }

    [[nodiscard]] static Outcome outcome_of(const detail::Call& call) noexcept {
        return call.sent ? Outcome::unknown : Outcome::not_sent;
    }

    void throw_failure(detail::ProcessConnections& process, detail::Call& call) const {
        using Failure = detail::Call::Failure;
        if (call.failure == Failure::none) {
            call.permission.succeeded();
            return;
        }
        if (call.failure == Failure::refused) {
            throw_refused(process, call);
        }
        const Outcome outcome = outcome_of(call);
        const std::string why = call.why                             ? *call.why
                                : call.failure == Failure::timed_out ? "no reply"
                                                                     : "out of memory";
        if (call.failure == Failure::credentials) {
            throw AuthError{about(describe(call)) + why, why};
        }
        std::string what = about(describe(call));
        what += call.failure == Failure::connect     ? "cannot connect: "
                : call.failure == Failure::timed_out ? "timed out: "
                                                     : "the connection broke: ";
        what += why;
        what += call.sent ? "; it may have been carried out" : "; it was not sent";
        switch (call.failure) {
            case Failure::connect: throw ConnectError{what, outcome};
            case Failure::timed_out: throw TimeoutError{what, outcome};
            default: throw ConnectionError{what, outcome};
        }
    }

    // A pipeline of more commands is bulk.
    static constexpr std::size_t bulk_commands = 512;

    std::shared_ptr<detail::Connections> connections_;
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_CLIENT_HPP
