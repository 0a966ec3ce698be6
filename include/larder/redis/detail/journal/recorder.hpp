// SPDX-License-Identifier: MIT

/// @file
/// Records changes in Redis, and waits until they are as durable as asked for.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_RECORDER_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_RECORDER_HPP

#include <larder/error.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/journal/names.hpp>
#include <larder/redis/detail/journal/scripts.hpp>
#include <larder/redis/detail/journal/server_check.hpp>
#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_put.hpp>
#include <larder/redis/durability.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/journal_options.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
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
};

/// Records. What is sent is sent once: a change that was recorded and superseded must not come again.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicRecorder {
public:
    BasicRecorder(const Client& client, const JournalNames& names,
                  const RedisJournalOptions& options)
        : client_{client},
          names_{names},
          durability_{options.durability},
          server_{client, options, names.journal()} {}

    /// Records all of them, each by itself, in one round trip.
    ///
    /// @param most  how many keys may wait
    /// @return the reply to each: a version, nil if there is no room, or an error
    /// @throws StoreError  the server cannot be asked, has not answered, is refused, or has not made
    ///                     them durable in time: they may be recorded, or may yet be
    [[nodiscard]] std::vector<Reply> record(std::span<const RecordRequest> requests,
                                            std::size_t most) {
        const auto then = server_.require();
        const std::string bound = std::to_string(most);
        const bool waits = durability_.replicas() > 0 || server_.waits_for_disk();
        Pipeline pipeline;
        for (const RecordRequest& request : requests) {
            add(pipeline, request, bound, waits, false);
        }
        std::vector<Reply> replies = waits ? run_and_wait(pipeline) : client_.run(pipeline);
        if (waits) {
            record_by_body(requests, bound, replies);
        }
        confirm(then);
        return replies;
    }

    /// Throws what an error reply to `record` stands for.
    [[noreturn]] void throw_error(const RecordRequest& request, ReplyView reply) const {
        client_.throw_error("the change of key " + request.key + " in " + names_.journal(), reply);
    }

private:
    // What was recorded in between may be on a server that is refused.
    void confirm(ServerCheck::Moment then) {
        try {
            server_.still(then);
        } catch (const StoreError& failure) {
            throw NoReply{std::string{failure.what()} + "; changes may be recorded",
                          Outcome::unknown};
        }
    }

    // Those whose scripts the server does not know: WAIT is to be behind them, so that the client must not
    // send them by itself.
    void record_by_body(std::span<const RecordRequest> requests, const std::string& bound,
                        std::vector<Reply>& replies) const {
        Pipeline again;
        std::vector<std::size_t> places;
        for (std::size_t i = 0; i < requests.size(); ++i) {
            if (is_unknown_script(replies[i])) {
                add(again, requests[i], bound, true, true);
                places.push_back(i);
            }
        }
        if (!places.empty()) {
            std::vector<Reply> late = run_and_wait(again);
            for (std::size_t i = 0; i < places.size(); ++i) {
                replies[places[i]] = std::move(late[i]);
            }
        }
    }

    void add(Pipeline& pipeline, const RecordRequest& request, const std::string& most,
             bool by_hand, bool by_body) const {
        const JournalScripts& scripts = JournalScripts::instance();
        const SlotPut* const put = request.put;
        std::vector<std::string_view> keys;
        std::vector<std::string_view> args;
        std::string era;
        if (put != nullptr) {
            era = hex(new_id());
            keys.push_back(put->slot);
            args = {era, put->life, put->bytes, ""};
        }
        keys.insert(keys.end(), names_.keys().begin(), names_.keys().end());
        if (put != nullptr) {
            keys.insert(keys.end(), put->tags.begin(), put->tags.end());
        }
        args.insert(args.end(), {request.key, request.signed_value, most});
        const Script& script = put == nullptr      ? scripts.record
                               : put->tags.empty() ? scripts.record_and_put
                                                   : scripts.record_and_put_tagged;
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

    // WAIT is for what its own connection has written: it travels behind that.
    std::vector<Reply> run_and_wait(Pipeline& pipeline) const {
        const std::int64_t within = client_.options().command_timeout.count();
        const std::size_t replicas = durability_.replicas();
        const std::size_t at = pipeline.size();
        replicas > 0 ? pipeline.command("WAIT", replicas, within)
                     : pipeline.command("WAITAOF", 1, 0, within);
        std::vector<Reply> replies = client_.run(pipeline);
        const Reply waited = std::move(replies[at]);
        replies.pop_back();
        if (std::all_of(replies.begin(), replies.end(), is_unknown_script)) {
            return replies;  // there was nothing to wait for
        }
        const ReplyView count = replicas > 0 ? ReplyView{waited} : waited[0];
        if (!count.is_integer()) {
            throw NoReply{"redis " + client_.name() + (replicas > 0 ? ": WAIT: " : ": WAITAOF: ") +
                              std::string{waited.text()} + "; changes in " + names_.journal() +
                              " may be recorded",
                          Outcome::unknown};
        }
        const std::int64_t got = count.integer();
        if (got < static_cast<std::int64_t>(replicas > 0 ? replicas : 1)) {
            throw NoReply{"redis " + client_.name() + ": changes in " + names_.journal() +
                              (replicas > 0 ? " have reached " + std::to_string(got) + " of " +
                                                  std::to_string(replicas) + " replicas in "
                                            : " are not on the disk after ") +
                              std::to_string(within) + " ms; they may be recorded",
                          Outcome::unknown};
        }
        return replies;
    }

    static bool is_unknown_script(const Reply& reply) noexcept {
        return reply.is_error() && reply.text().starts_with("NOSCRIPT");
    }

    const Client client_;
    const JournalNames names_;
    const Durability durability_;
    ServerCheck server_;
};

using Recorder = BasicRecorder<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_RECORDER_HPP
