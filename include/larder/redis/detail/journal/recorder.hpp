// SPDX-License-Identifier: MIT

/// @file
/// Records changes in Redis, and waits until they are as durable as asked for.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_RECORDER_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_RECORDER_HPP

#include <larder/error.hpp>
#include <larder/redis/detail/journal/names.hpp>
#include <larder/redis/detail/journal/partitions.hpp>
#include <larder/redis/detail/journal/scripts.hpp>
#include <larder/redis/detail/journal/server_check.hpp>
#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_put.hpp>
#include <larder/redis/durability.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/journal_options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// One change that is to be recorded.
struct RecordRequest {
    std::string key{};
    std::string signed_value{};    ///< as JournalBytes::sign makes it
    const SlotPut* put = nullptr;  ///< with the copy, in one step; null: without
    std::size_t most = 0;          ///< keys that may wait in its partition
};

/// What became of changes.
struct RecordReplies {
    std::vector<Reply> replies{};  ///< to each: a version, nil if there is no room, or an error

    /// Why a node of a cluster has not answered, whose replies are nil, while others have; null: all have.
    std::exception_ptr failure{};
};

/// Records. What is sent is sent once: a change that was recorded and superseded must not come again.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicRecorder {
public:
    /// @param partitions  outlive it
    BasicRecorder(const JournalPartitions& partitions, const RedisJournalOptions& options)
        : partitions_{partitions},
          durability_{options.durability},
          server_{partitions.client, options, partitions.journal()} {}

    /// Records all of them, each by itself, in one round trip.
    ///
    /// @throws StoreError  no server can be asked, has not answered, is refused, or has not made
    ///                     them durable in time: they may be recorded, or may yet be
    [[nodiscard]] RecordReplies record(std::span<const RecordRequest> requests) {
        const auto then = server_.require();
        RecordReplies all;
        std::vector<Reply>& replies = all.replies;
        if (durability_.replicas() > 0 || server_.waits_for_disk()) {
            replies.resize(requests.size());
            std::vector<std::size_t> places;
            for (std::size_t i = 0; i < requests.size(); ++i) {
                places.push_back(i);
            }
            record_and_wait(requests, places, false, replies);
            // WAIT is to be behind its scripts, so that the client must not send those by itself which
            // the server does not know.
            std::erase_if(places, [&](std::size_t i) { return !is_unknown_script(replies[i]); });
            record_and_wait(requests, places, true, replies);
        } else {
            Pipeline pipeline;
            for (const RecordRequest& request : requests) {
                add(pipeline, request, false, false);
            }
            replies.resize(pipeline.size());
            all.failure = ask(pipeline, replies);
        }
        confirm(then);
        return all;
    }

    /// Throws what an error reply to `record` stands for.
    [[noreturn]] void throw_error(const RecordRequest& request, ReplyView reply) const {
        partitions_.client.throw_error(
            "the change of key " + request.key + " in " + partitions_.journal(), reply);
    }

private:
    // What nodes have acknowledged is recorded, though another is away.
    [[nodiscard]] std::exception_ptr ask(const Pipeline& pipeline, std::span<Reply> replies) const {
        try {
            partitions_.ask(pipeline, replies);
        } catch (const NoReply&) {
            if (!partitions_.client.clustered() ||
                std::all_of(replies.begin(), replies.end(),
                            [](const Reply& reply) { return reply.is_nil(); })) {
                throw;
            }
            return std::current_exception();
        }
        return nullptr;
    }

    // What was recorded in between may be on a server that is refused.
    void confirm(ServerCheck::Moment then) {
        try {
            server_.still(then);
        } catch (const StoreError& failure) {
            throw NoReply{std::string{failure.what()} + "; changes may be recorded",
                          Outcome::unknown};
        }
    }

    void add(Pipeline& pipeline, const RecordRequest& request, bool by_hand, bool by_body) const {
        const JournalScripts& scripts = JournalScripts::instance();
        const JournalNames& names = partitions_[partitions_.of(request.key)];
        const std::string most = std::to_string(request.most);
        const SlotPut* const put = request.put;
        std::vector<std::string_view> keys;
        std::vector<std::string_view> args;
        std::string era;
        if (put != nullptr) {
            era = hex(new_id());
            keys.push_back(put->slot);
            args = {era, put->life, put->bytes, ""};
        }
        keys.insert(keys.end(), names.record_keys().begin(), names.record_keys().end());
        if (put != nullptr) {
            keys.insert(keys.end(), put->tags.begin(), put->tags.end());
        }
        args.insert(args.end(), {request.key, request.signed_value, most});
        if (put != nullptr && !put->channel.empty()) {
            args.push_back(put->channel);
        }
        const Script& script = put == nullptr      ? scripts.record
                               : put->tags.empty() ? scripts.record_and_put.on(put->channel)
                                                   : scripts.record_and_put_tagged.on(put->channel);
        if (!by_hand) {
            pipeline.script(script, keys, args);
            return;
        }
        const std::string count = std::to_string(keys.size());
        std::vector<std::string_view> words{by_body ? "EVAL" : "EVALSHA",
                                            by_body ? script.body() : script.sha(), count};
        words.insert(words.end(), keys.begin(), keys.end());
        words.insert(words.end(), args.begin(), args.end());
        pipeline.command(words);
    }

    // WAIT is for what its own connection has written: it travels behind that, once a partition, since
    // each may be on a server of its own.
    void record_and_wait(std::span<const RecordRequest> requests,
                         std::span<const std::size_t> places, bool by_body,
                         std::vector<Reply>& replies) const {
        if (places.empty()) {
            return;
        }
        const std::int64_t within = partitions_.client.options().command_timeout.count();
        const std::size_t replicas = durability_.replicas();
        const auto shares = partitions_.shares(
            places.size(),
            [&](std::size_t i) -> const std::string& { return requests[places[i]].key; });
        Pipeline pipeline;
        for (const PartitionShare& share : shares) {
            for (const std::size_t i : share.places) {
                add(pipeline, requests[places[i]], true, by_body);
            }
            replicas > 0 ? pipeline.command("WAIT", replicas, within)
                         : pipeline.command("WAITAOF", 1, 0, within);
        }
        std::vector<Reply> all = partitions_.ask(pipeline);
        std::size_t at = 0;
        for (const PartitionShare& share : shares) {
            bool any = false;
            for (const std::size_t i : share.places) {
                any = any || !is_unknown_script(all[at]);
                replies[places[i]] = std::move(all[at++]);
            }
            const Reply& waited = all[at++];
            if (any) {
                require_durable(waited, within);
            }
        }
    }

    void require_durable(const Reply& waited, std::int64_t within) const {
        const std::size_t replicas = durability_.replicas();
        const std::string server = "redis " + partitions_.client.name() + ": ";
        const ReplyView count = replicas > 0 ? ReplyView{waited} : waited[0];
        if (!count.is_integer()) {
            throw NoReply{server + (replicas > 0 ? "WAIT: " : "WAITAOF: ") +
                              std::string{waited.text()} + "; changes in " + partitions_.journal() +
                              " may be recorded",
                          Outcome::unknown};
        }
        const std::int64_t got = count.integer();
        if (got < static_cast<std::int64_t>(replicas > 0 ? replicas : 1)) {
            throw NoReply{server + "changes in " + partitions_.journal() +
                              (replicas > 0 ? " have reached " + std::to_string(got) + " of " +
                                                  std::to_string(replicas) + " replicas in "
                                            : " are not on the disk after ") +
                              std::to_string(within) + " ms; they may be recorded",
                          Outcome::unknown};
        }
    }

    static bool is_unknown_script(const Reply& reply) noexcept {
        return reply.is_error() && reply.text().starts_with("NOSCRIPT");
    }

    const JournalPartitions& partitions_;
    const Durability durability_;
    ServerCheck server_;
};

using Recorder = BasicRecorder<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_RECORDER_HPP
