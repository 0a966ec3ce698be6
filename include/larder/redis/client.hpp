// SPDX-License-Identifier: MIT

/// @file
/// The connections to a Redis server, shared by any number of threads.

#ifndef LARDER_REDIS_CLIENT_HPP
#define LARDER_REDIS_CLIENT_HPP

#include <larder/redis/commands.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/lane.hpp>
#include <larder/redis/namespaces.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/pool.hpp>
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
/// ask at the same time share round trips, without a thread of the client's own. A call takes
/// `command_timeout` at the most, and `connect_timeout` more if a connection must be opened for it.
///
/// A connection that saw any error is closed. What the server cannot have seen, and what only reads
/// or is marked repeatable, is then sent once more over a new one; of anything else the exception
/// says that the outcome is unknown. If that does not help, or after a time-out, the server is not
/// asked for a while: calls throw BreakerOpen at once, until one of them finds that it is back.
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
        : core_{std::make_shared<detail::Core>(std::move(options))} {}

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
        submit(pipeline, replies);
        std::vector<std::size_t> places;
        const Pipeline again = detail::PipelineAccess::unknown_scripts(pipeline, replies, places);
        if (!again.empty()) {
            std::vector<Reply> late(again.size());
            submit(again, late.data());
            for (std::size_t i = 0; i < late.size(); ++i) {
                replies[places[i]] = std::move(late[i]);
            }
        }
    }

    void submit(const Pipeline& pipeline, Reply* replies) const {
        using Access = detail::PipelineAccess;
        if (Access::in_multi(pipeline)) {
            throw std::invalid_argument{"larder: redis: MULTI without EXEC in the same pipeline"};
        }
        detail::Core::Shared& shared = core_->shared();
        const auto blocks = Access::blocks(pipeline);
        detail::Call call;
        call.bytes = Access::bytes(pipeline);
        call.commands = pipeline.size();
        call.replies = replies;
        call.repeatable = Access::repeatable(pipeline);
        call.start = std::chrono::steady_clock::now();
        switch (shared.server.circuit.ask(call.start)) {
            case detail::Circuit::Answer::ask: break;
            case detail::Circuit::Answer::refuse: throw_refused(shared, call);
            case detail::Circuit::Answer::probe:
                call.probe = true;
                if (blocks.count() > 0) {
                    // It might keep all others waiting for as long as it blocks.
                    probe(shared, call);
                }
        }
        const ClientOptions& options = core_->options;
        const bool bulk = Access::bulk(pipeline) || call.bytes.size() > options.bulk ||
                          call.commands > detail::bulk_commands;
        if (blocks != detail::for_ever) {
            const auto times =
                bulk ? 1 + call.bytes.size() / (1024 * 1024) + call.commands / 1024 : 1;
            call.deadline =
                call.start + options.command_timeout * static_cast<std::int64_t>(times) + blocks;
        }
        if (bulk || blocks.count() > 0) {
            shared.run_alone(call, bulk);
        } else {
            shared.run(call);
        }
        throw_failure(shared, call);
    }

    void probe(detail::Core::Shared& shared, detail::Call& for_call) const {
        Pipeline ping;
        ping.command("PING");
        Reply pong;
        detail::Call call;
        call.bytes = detail::PipelineAccess::bytes(ping);
        call.commands = 1;
        call.replies = &pong;
        call.repeatable = true;
        call.probe = std::exchange(for_call.probe, false);
        call.start = for_call.start;
        call.deadline = call.start + core_->options.command_timeout;
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

    [[noreturn]] void throw_refused(detail::Core::Shared& shared, const detail::Call& call) const {
        const auto refusal = shared.server.circuit.refusal();
        if (refusal->credentials) {
            throw AuthError{about(shown(call)) + refusal->why, refusal->why};
        }
        throw BreakerOpen{about(shown(call)) +
                          "not asked, since it failed a moment ago: " + refusal->why};
    }

    void throw_failure(detail::Core::Shared& shared, const detail::Call& call) const {
        using Verdict = detail::Call::Verdict;
        if (call.verdict == Verdict::none) {
            return;
        }
        if (call.verdict == Verdict::refused) {
            throw_refused(shared, call);
        }
        const Outcome outcome = call.sent ? Outcome::unknown : Outcome::not_sent;
        const std::string why = call.why ? *call.why : "out of memory";
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

    std::shared_ptr<detail::Core> core_;
};

/// Throws what an error reply stands for: Client::throw_error.
[[noreturn]] inline void throw_error(const Client& client, std::string_view command,
                                     ReplyView reply) {
    client.throw_error(command, reply);
}

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_CLIENT_HPP
