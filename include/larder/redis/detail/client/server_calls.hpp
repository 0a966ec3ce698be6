// SPDX-License-Identifier: MIT

/// @file
/// Pipelines for one server.

#ifndef LARDER_REDIS_DETAIL_CLIENT_SERVER_CALLS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_SERVER_CALLS_HPP

#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/call_failure.hpp>
#include <larder/redis/detail/client/call_time.hpp>
#include <larder/redis/detail/client/pipeline_calls.hpp>
#include <larder/redis/detail/client/process_connections.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Carries out pipelines on one server.
///
/// Thread safety: all members may run concurrently.
class ServerCalls {
public:
    /// @param process  must outlive it
    explicit ServerCalls(ProcessConnections& process) noexcept : process_{process} {}

    /// Carries out a pipeline of at least one command. A script that the server does not know is sent
    /// with its body.
    ///
    /// @param replies  as many as there are commands
    /// @throws NoReply  there are no replies, or not all
    void run(const Pipeline& pipeline, Reply* replies) const {
        CallTime time = time_of(pipeline, process_.server.options);
        submit(pipeline, replies, time);
        std::vector<std::size_t> places;
        const Pipeline again = PipelineAccess::unknown_scripts(pipeline, replies, places);
        if (!again.empty()) {
            std::vector<Reply> late(again.size());
            finish(again, late.data(), time, again.size() < pipeline.size());
            for (std::size_t i = 0; i < late.size(); ++i) {
                replies[places[i]] = std::move(late[i]);
            }
        }
    }

    /// Throws what has become of a call, if it failed.
    void settle(Call& call) const {
        if (call.failure == Call::Failure::none) {
            call.permission.succeeded();
            return;
        }
        if (call.failure == Call::Failure::refused) {
            refuse(call);
        }
        throw_failure(process_.server.name, call);
    }

    /// Asks for a PING in place of a call that is to probe the server, and might keep all others waiting
    /// for as long as it blocks.
    ///
    /// @throws NoReply  there was none
    void probe(Call& for_call) const {
        Pipeline ping;
        ping.command("PING");
        Reply pong;
        const ClientOptions& options = process_.server.options;
        CallTime time{.start = for_call.time.start};
        time.deadline = time.start + options.command_timeout;
        time.latest = time.deadline + options.connect_timeout;
        Call call = call_of(ping, &pong, time);
        call.permission = std::move(for_call.permission);
        process_.run(call);
        settle(call);
    }

private:
    // What it took of its time goes off that of the next attempt.
    void submit(const Pipeline& pipeline, Reply* replies, CallTime& time) const {
        const bool blocks = PipelineAccess::blocks(pipeline).count() > 0;
        const bool bulk = is_bulk(pipeline, process_.server.options);
        Call call = call_of(pipeline, replies, time);
        ask(call, time.start);
        if (blocks && call.permission.is_probe()) {
            probe(call);
        }
        if (bulk || blocks) {
            process_.run_alone(call, bulk, blocks);
        } else {
            process_.run(call);
        }
        settle(call);
        time = call.time;
    }

    // The scripts whose bodies the server had not seen. Alone: nobody who came later is before it.
    //
    // @param partly  others of the pipeline have been carried out
    void finish(const Pipeline& pipeline, Reply* replies, const CallTime& time, bool partly) const {
        Call call = call_of(pipeline, replies, time);
        call.sent = partly;
        ask(call, std::chrono::steady_clock::now());
        process_.run_alone(call, is_bulk(pipeline, process_.server.options),
                           PipelineAccess::blocks(pipeline).count() > 0);
        settle(call);
    }

    void ask(Call& call, time_point now) const {
        call.permission = process_.server.breaker.request(now);
        if (!call.permission.granted()) {
            refuse(call);
        }
    }

    [[noreturn]] void refuse(const Call& call) const {
        throw_refused(process_.server.name, call, *process_.server.breaker.reason());
    }

    ProcessConnections& process_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_SERVER_CALLS_HPP
