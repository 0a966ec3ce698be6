// SPDX-License-Identifier: MIT

/// @file
/// A journal in Redis, over bytes: whatever the types of keys and values, this is compiled once.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_CORE_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_CORE_HPP

#include <larder/detail/slot/record_end.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/journal/claim_steps.hpp>
#include <larder/redis/detail/journal/claimer.hpp>
#include <larder/redis/detail/journal/journal_bytes.hpp>
#include <larder/redis/detail/journal/names.hpp>
#include <larder/redis/detail/journal/partitions.hpp>
#include <larder/redis/detail/journal/pending_bound.hpp>
#include <larder/redis/detail/journal/recorder.hpp>
#include <larder/redis/detail/journal/scripts.hpp>
#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_put.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/journal_options.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The changes of one name, shared by all processes.
///
/// Thread safety: all members may run concurrently; each is one atomic step.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicJournalCore {
public:
    BasicJournalCore(Client client, std::string_view name, const RedisJournalOptions& options)
        : partitions_{std::move(client), name, options},
          recorder_{partitions_, options},
          bound_{partitions_},
          claimer_{partitions_},
          claim_steps_{partitions_} {}

    /// The version, or nothing if there is no room.
    ///
    /// @throws StoreError  it is not acknowledged: see Recorder
    std::optional<std::uint64_t> record(RecordRequest request, std::size_t most) {
        bool counted = bound_.count(most, 1, false);
        for (;;) {
            request.most = bound_.of(partitions_.of(request.key), most);
            const RecordReplies recorded = recorder_.record(std::span{&request, 1});
            const auto version = version_in(request, recorded.replies[0]);
            if (version || counted || !bound_.count(most, 1, true)) {
                return version;
            }
            counted = true;
        }
    }

    /// The same of many, each by itself, in one round trip: what became of each. Of several partitions
    /// those that may find no room are not tried.
    [[nodiscard]] std::vector<larder::detail::RecordEnd> record_many(
        std::span<RecordRequest> requests, std::size_t most) {
        std::vector<larder::detail::RecordEnd> ends(requests.size());
        const auto fail_all = [&](Written written) {
            std::fill(ends.begin(), ends.end(),
                      larder::detail::RecordEnd{written, std::current_exception()});
        };
        try {
            static_cast<void>(bound_.count(most, requests.size(), false));
            requests = requests.first((std::min)(requests.size(), bound_.room(most)));
            for (RecordRequest& request : requests) {
                request.most = bound_.of(partitions_.of(request.key), most);
            }
            const auto [replies, untold] = recorder_.record(requests);
            for (std::size_t i = 0; i < requests.size(); ++i) {
                if (untold && replies[i].is_nil()) {
                    ends[i] = {Written::unknown, untold};
                    continue;
                }
                try {
                    const bool recorded = version_in(requests[i], replies[i]).has_value();
                    ends[i].written = recorded ? Written::yes : Written::no;
                } catch (const NoReply&) {
                    ends[i] = {Written::unknown, std::current_exception()};
                } catch (const StoreError&) {
                    ends[i].failure = std::current_exception();
                }
            }
        } catch (const NoReply& failure) {
            fail_all(failure.outcome() == Outcome::unknown ? Written::unknown : Written::no);
        } catch (const StoreError&) {
            fail_all(Written::no);  // the server was not asked
        }
        return ends;
    }

    /// Whether its slots are on this server, where one script may touch both.
    [[nodiscard]] bool is_beside(const SlotPut& put) const {
        const ClientOptions& mine = partitions_.client.options();
        const ClientOptions& other = put.client->options();
        if (put.partitions != partitions_.divided()) {
            return false;
        }
        return &mine == &other || (mine.host == other.host && mine.port == other.port &&
                                   mine.path == other.path && mine.database == other.database &&
                                   mine.sentinel.primary == other.sentinel.primary &&
                                   mine.sentinel.sentinels == other.sentinel.sentinels &&
                                   mine.cluster.seeds == other.cluster.seeds);
    }

    /// The bytes of the changes that wait, in the order of the keys.
    [[nodiscard]] std::vector<std::optional<RawChange>> pending(
        std::span<const std::string> keys) const {
        const auto shares = partitions_.shares(
            keys.size(), [&](std::size_t i) -> const std::string& { return keys[i]; });
        Pipeline pipeline;
        for (const PartitionShare& share : shares) {
            std::vector<std::string_view> words{"HMGET", partitions_[share.partition].changes()};
            for (const std::size_t i : share.places) {
                words.push_back(keys[i]);
            }
            pipeline.command(words);
        }
        const std::string what = "the change of key " + keys[0];
        const std::vector<Reply> replies = partitions_.run(pipeline, what);
        std::vector<std::optional<RawChange>> all(keys.size());
        for (std::size_t s = 0; s < shares.size(); ++s) {
            const auto& places = shares[s].places;
            if (replies[s].size() != places.size()) {
                throw partitions_.odd(what);
            }
            for (std::size_t at = 0; at < places.size(); ++at) {
                const ReplyView bytes = replies[s][at];
                const std::string& key = keys[places[at]];
                if (bytes.is_string()) {
                    all[places[at]] = JournalBytes::change(key, bytes.text());
                    if (!all[places[at]]) {
                        throw undecodable(key, "its bytes are no change");
                    }
                }
            }
        }
        return all;
    }

    /// What is recorded must fit into the reply to who claims it.
    ///
    /// @throws StoreError  it does not: it would be pending for ever
    void require_claimable(const RecordRequest& request) const {
        constexpr std::size_t around = 128;  // what a reply says besides
        const Client& client = partitions_.client;
        const std::size_t most = client.options().max_reply_bytes;
        const std::size_t bytes = request.key.size() + request.signed_value.size() + around;
        if (bytes > most) {
            throw StoreError{"redis " + client.name() + ": the change of key " + request.key +
                             " in " + partitions_.journal() +
                             " is not recorded: in a reply it has " + std::to_string(bytes) +
                             " bytes, and max_reply_bytes is " + std::to_string(most)};
        }
    }

    /// Of a change that does not decode: it will be buried by who claims it.
    [[nodiscard]] StoreError undecodable(const std::string& key, const std::string& why) const {
        return StoreError{"redis " + partitions_.client.name() + ": the change of key " + key +
                          " in " + partitions_.journal() + " does not decode: " + why};
    }

    [[nodiscard]] std::vector<RawClaim> claim(std::size_t max, Ttl life, Ttl age) {
        return claimer_.claim(
            max, {milliseconds(life), milliseconds(age),
                  (std::min)(partitions_.client.options().max_reply_bytes, most_claimed_bytes)});
    }

    void renew(std::span<const ClaimName> claims, Ttl life) {
        claim_steps_.renew(claims, milliseconds(life));
    }

    [[nodiscard]] std::vector<bool> settle(std::span<const ClaimName> claims) {
        return claim_steps_.settle(claims);
    }

    /// @param attempts  how often it was tried, this time included
    void defer(const ClaimName& mine, Ttl delay, std::size_t attempts) {
        claimer_.note(partitions_.of(mine.key));
        static_cast<void>(step(JournalScripts::instance().defer, "the change", mine.key,
                               {mine.key, ClaimSteps::padded(mine.version), hex(mine.claim),
                                milliseconds(delay), std::to_string(attempts)},
                               true));
    }

    bool bury(const ClaimName& mine, std::string_view why, std::size_t attempts) {
        return step(JournalScripts::instance().bury, "the change", mine.key,
                    {mine.key, ClaimSteps::padded(mine.version), hex(mine.claim),
                     std::to_string(attempts), std::string{why}, hex(new_id())},
                    true)
                   .integer() == 1;
    }

    /// The oldest first.
    [[nodiscard]] std::vector<RawLetter> letters() const {
        Pipeline pipeline;
        pipeline.bulk();
        for (const JournalNames& names : partitions_.all()) {
            pipeline.command("HGETALL", names.letters());
        }
        std::vector<RawLetter> letters;
        for (const Reply& reply : partitions_.run(pipeline, "the dead letters")) {
            for (std::size_t i = 0; i + 1 < reply.size(); i += 2) {
                letters.push_back(JournalBytes::letter(reply[i].text(), reply[i + 1].text()));
            }
        }
        std::sort(letters.begin(), letters.end(), [](const RawLetter& a, const RawLetter& b) {
            return std::pair{a.last, a.change.version} < std::pair{b.last, b.change.version};
        });
        return letters;
    }

    bool revive(const std::string& key) {
        claimer_.note(partitions_.of(key));
        return step(JournalScripts::instance().revive, "the dead letter", key, {key}, false)
                   .integer() == 1;
    }

    bool discard(const std::string& key) {
        return step(JournalScripts::instance().discard, "the dead letter", key, {key}, false)
                   .integer() == 1;
    }

    /// The texts of all keys that have a change or a dead letter.
    [[nodiscard]] std::vector<std::string> names() const {
        Pipeline pipeline;
        pipeline.bulk();
        for (const JournalNames& names : partitions_.all()) {
            pipeline.command("HKEYS", names.changes()).command("HKEYS", names.letters());
        }
        std::vector<std::string> all;
        for (const Reply& reply : partitions_.run(pipeline, "the keys")) {
            for (std::size_t i = 0; i < reply.size(); ++i) {
                all.emplace_back(reply[i].text());
            }
        }
        return all;
    }

    /// How many letters there are.
    [[nodiscard]] std::size_t buried() const {
        Pipeline pipeline;
        for (const JournalNames& names : partitions_.all()) {
            pipeline.command("HLEN", names.letters());
        }
        std::size_t all = 0;
        for (const Reply& reply : partitions_.run(pipeline, "the dead letters")) {
            all += static_cast<std::size_t>(reply.integer());
        }
        return all;
    }

    [[nodiscard]] std::size_t size() { return bound_.recount(); }

    /// Each partition is asked its own server's time.
    [[nodiscard]] std::optional<Ttl> oldest() const {
        constexpr std::size_t each = 4;
        Pipeline pipeline;
        for (const JournalNames& names : partitions_.all()) {
            pipeline.command("ZRANGE", names.waiting(), 0, 0, "WITHSCORES")
                .command("ZRANGE", names.held(), 0, 0, "WITHSCORES")
                .command("ZRANGE", names.hands(), 0, -1)
                .command("TIME");
        }
        const std::vector<Reply> replies = partitions_.run(pipeline, "the oldest change");
        std::optional<Ttl> oldest;
        for (std::size_t i = 0; i < replies.size(); i += each) {
            const ReplyView time = replies[i + 3];
            const std::int64_t now = time[0].integer() * 1'000'000 + time[1].integer();
            const auto see = [&](std::string_view digits) {
                if (const auto since = JournalBytes::number(digits)) {
                    const std::int64_t age = (now - static_cast<std::int64_t>(*since)) / 1000;
                    oldest = (std::max)(oldest.value_or(Ttl::zero()), Ttl{age});
                }
            };
            see(replies[i][1].text());
            see(replies[i + 1][1].text());
            for (std::size_t hand = 0; hand < replies[i + 2].size(); ++hand) {
                see(JournalNames::since(replies[i + 2][hand].text()));
            }
        }
        return oldest;
    }

private:
    static constexpr std::size_t most_claimed_bytes = 16 * 1024 * 1024;

    [[nodiscard]] std::optional<std::uint64_t> version_in(const RecordRequest& request,
                                                          ReplyView reply) {
        if (request.put != nullptr && is_torn(reply)) {
            return std::nullopt;  // step by step, then
        }
        if (reply.is_error()) {
            recorder_.throw_error(request, reply);
        }
        const auto version = JournalBytes::number(reply.text());
        if (!version && !reply.is_nil()) {
            throw partitions_.odd("the change of key " + request.key);
        }
        if (version) {
            claimer_.note(partitions_.of(request.key));
        }
        return version;
    }

    // A step of one key's change.
    //
    // @param repeatable  it does no harm twice
    Reply step(const Script& script, std::string_view what, const std::string& key,
               std::initializer_list<std::string> args, bool repeatable) const {
        Pipeline pipeline;
        JournalPartitions::add(pipeline, partitions_[partitions_.of(key)], script,
                               std::span{args.begin(), args.size()});
        if (repeatable) {
            pipeline.repeatable();
        }
        return std::move(partitions_.run(pipeline, std::string{what} + " of key " + key).front());
    }

    static std::string milliseconds(Ttl time) {
        return std::to_string(larder::detail::cut(time).count());
    }

    const JournalPartitions partitions_;
    Recorder recorder_;
    PendingBound bound_;
    Claimer claimer_;
    ClaimSteps claim_steps_;
};

using JournalCore = BasicJournalCore<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_CORE_HPP
