// SPDX-License-Identifier: MIT

/// @file
/// The connections to a Redis server, shared by any number of threads.

#ifndef LARDER_REDIS_CLIENT_HPP
#define LARDER_REDIS_CLIENT_HPP

#include <larder/redis/detail/client/argument.hpp>
#include <larder/redis/detail/client/call_failure.hpp>
#include <larder/redis/detail/client/client_in_hand.hpp>
#include <larder/redis/detail/client/cluster.hpp>
#include <larder/redis/detail/client/cluster_run.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/connections.hpp>
#include <larder/redis/detail/client/namespaces.hpp>
#include <larder/redis/detail/client/process_connections.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/redis/detail/client/server_calls.hpp>
#include <larder/redis/endpoint.hpp>
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

/// A Redis server, or a cluster of them, asked over a few connections that all threads share.
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
/// In a cluster all of this holds for each of its nodes. A command goes to the node of its first key, one
/// without a key to that of the command before it; a pipeline for several nodes is sent to all before
/// replies are read, and if one does not answer all of it throws. Keys of several slots in one command
/// or transaction are refused (std::invalid_argument). What a node did not carry out (MOVED, ASK,
/// TRYAGAIN, CLUSTERDOWN) is sent again within the time of the call. Rule R11.
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
        run(pipeline, replies);
        return replies;
    }

    /// The same, into replies of the caller's: as many as there are commands.
    void run(const Pipeline& pipeline, std::span<Reply> replies) const {
        if (check(pipeline, replies.size())) {
            run_into(pipeline, replies.data());
        }
    }

    /// Carries out a pipeline of one command: `run`, without the vector.
    [[nodiscard]] Reply run_one(const Pipeline& pipeline) const {
        if (pipeline.size() != 1) {
            throw std::invalid_argument{"larder: run_one takes a pipeline of one command"};
        }
        Reply reply;
        run(pipeline, {&reply, 1});
        return reply;
    }

    /// Carries out a pipeline on one of the primaries, whatever keys it names: for what is asked of
    /// each of them, as SCAN is. MOVED and the like are replies here.
    ///
    /// @param primary  of `primaries`
    /// @param replies  as many as there are commands
    /// @throws NoReply, std::invalid_argument  as `run`
    void run_at(const Endpoint& primary, const Pipeline& pipeline, std::span<Reply> replies) const {
        if (!clustered()) {
            run(pipeline, replies);
        } else if (check(pipeline, replies.size())) {
            detail::Cluster& cluster = connections_->cluster();
            const auto node = cluster.node(primary);
            try {
                detail::ServerCalls{node->connections}.run(pipeline, replies.data());
            } catch (const NoReply&) {
                cluster.suspect();
                throw;
            }
        }
    }

    /// Whether keys are spread over several primaries, by hash slots.
    [[nodiscard]] bool clustered() const noexcept { return connections_->clustered; }

    /// Where the primaries are, in a cluster as of a second ago at most: one, but for a cluster. Of a
    /// unix socket the path, and port 0.
    ///
    /// @throws ConnectError  nobody who was asked knows
    [[nodiscard]] std::vector<Endpoint> primaries() const {
        const ClientOptions& options = connections_->options;
        const auto now = std::chrono::steady_clock::now();
        try {
            if (clustered()) {
                connections_->cluster().suspect();  // no reply will say that one was added
                const auto view = connections_->cluster().view(now, now + options.connect_timeout);
                return view->map->owners();
            }
            if (const auto& finder = connections_->current().server.primary) {
                return {finder->find(now + options.connect_timeout)};
            }
        } catch (const detail::ConnectionFailure& failed) {
            throw ConnectError{about("where the primary is") + failed.text, Outcome::not_sent};
        }
        return {options.path.empty() ? Endpoint{options.host, options.port}
                                     : Endpoint{options.path, 0}};
    }

    /// Grows whenever a primary is seen to have moved, or in a cluster a slot.
    [[nodiscard]] std::uint64_t topology() const noexcept {
        return clustered() ? connections_->cluster().topology()
                           : connections_->current().server.breaker.role_changes();
    }

    /// Throws what an error reply stands for.
    ///
    /// @param command  what was asked, as the error may show it: "GET product:42"
    [[noreturn]] void throw_error(std::string_view command, ReplyView reply) const {
        std::string text{reply.text()};
        if (text.starts_with("ERR unknown command")) {
            text.resize((std::min)(text.size(), text.find(", with args")));  // may be secrets
        }
        std::string what = about(command) + text;
        if (text.starts_with("MOVED ") && !clustered()) {
            what += " (the server is of a cluster: redis+cluster://)";
        }
        if (detail::about_credentials(text)) {
            throw AuthError{what, text};
        }
        throw ReplyError{what, text};
    }

    /// Whether the server is being asked; in a cluster, whether any primary is.
    [[nodiscard]] Breaker breaker() const noexcept {
        return clustered() ? connections_->cluster().breaker()
                           : connections_->current().server.breaker.state();
    }

    /// What was counted so far.
    [[nodiscard]] ClientStats stats() const noexcept {
        const auto& counters = clustered() ? *connections_->cluster().counters
                                           : connections_->current().server.counters;
        using detail::Server;
        return {counters.sum(Server::round_trips), counters.sum(Server::commands),
                counters.sum(Server::bytes_sent), counters.sum(Server::connects),
                counters.sum(Server::resent)};
    }

    /// "127.0.0.1:6379", "[::1]:6379", "/run/redis.sock", "cluster h1:7000,h2:7000": for messages.
    [[nodiscard]] const std::string& name() const noexcept { return connections_->name; }

    /// What of this process' calls is under way. For tests: all zero when none is.
    [[nodiscard]] detail::ClientInHand in_hand() const noexcept {
        return clustered() ? connections_->cluster().in_hand() : connections_->current().in_hand();
    }

    /// Those of the stores that use this client.
    [[nodiscard]] detail::Namespaces& namespaces() const noexcept {
        return connections_->namespaces;
    }

    /// With the password, which `name` and exceptions never show.
    [[nodiscard]] const ClientOptions& options() const noexcept { return connections_->options; }

private:
    [[nodiscard]] std::string about(std::string_view command) const {
        return detail::about_call(name(), command);
    }

    // Whether there is anything to be done.
    static bool check(const Pipeline& pipeline, std::size_t replies) {
        if (replies != pipeline.size()) {
            throw std::invalid_argument{"larder: redis: not as many replies as commands"};
        }
        if (detail::PipelineAccess::in_multi(pipeline)) {
            throw std::invalid_argument{"larder: redis: MULTI without EXEC in the same pipeline"};
        }
        return !pipeline.empty();
    }

    void run_into(const Pipeline& pipeline, Reply* replies) const {
        if (clustered()) {
            detail::ClusterRun{connections_->cluster(), pipeline, replies}.run();
        } else {
            detail::ServerCalls{connections_->current()}.run(pipeline, replies);
        }
    }

    std::shared_ptr<detail::Connections> connections_;
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_CLIENT_HPP
