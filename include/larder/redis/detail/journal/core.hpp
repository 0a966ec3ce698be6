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
#include <larder/redis/detail/journal/journal_bytes.hpp>
#include <larder/redis/detail/journal/names.hpp>
#include <larder/redis/detail/journal/recorder.hpp>
#include <larder/redis/detail/journal/scripts.hpp>
#include <larder/redis/detail/store/ids.hpp>
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

/// Which change a claim is of.
struct ClaimName {
    std::string key{};
    std::uint64_t version = 0;
    std::uint64_t claim = 0;
};

/// The changes of one name, shared by all processes.
///
/// Thread safety: all members may run concurrently; each is one atomic step.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicJournalCore {
public:
    BasicJournalCore(Client client, std::string_view name, const RedisJournalOptions& options)
        : client_{std::move(client)},
          names_{name, options.schema},
          recorder_{client_, names_, options} {}

    /// The version, or nothing if there is no room.
    ///
    /// @throws StoreError  it is not acknowledged: see Recorder
    std::optional<std::uint64_t> record(RecordRequest request, std::size_t most) {
        const std::vector<Reply> replies = recorder_.record(std::span{&request, 1}, most);
        return version_in(request, replies[0]);
    }

    /// The same of many, each by itself, in one round trip: what became of each.
    [[nodiscard]] std::vector<larder::detail::RecordEnd> record_many(
        std::span<const RecordRequest> requests, std::size_t most) {
        std::vector<larder::detail::RecordEnd> ends(requests.size());
        const auto fail_all = [&](Written written) {
            std::fill(ends.begin(), ends.end(),
                      larder::detail::RecordEnd{written, std::current_exception()});
        };
        try {
            const std::vector<Reply> replies = recorder_.record(requests, most);
            for (std::size_t i = 0; i < ends.size(); ++i) {
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
        const ClientOptions& mine = client_.options();
        const ClientOptions& other = put.client->options();
        return &mine == &other || (mine.host == other.host && mine.port == other.port &&
                                   mine.path == other.path && mine.database == other.database &&
                                   mine.sentinel.primary == other.sentinel.primary &&
                                   mine.sentinel.sentinels == other.sentinel.sentinels);
    }

    /// The bytes of the changes that wait, in the order of the keys.
    [[nodiscard]] std::vector<std::optional<RawChange>> pending(
        std::span<const std::string> keys) const {
        std::vector<std::string_view> words{"HMGET", names_.changes()};
        words.insert(words.end(), keys.begin(), keys.end());
        Pipeline pipeline;
        pipeline.command(words);
        const Reply reply = run(pipeline, "the change of key " + keys[0]);
        std::vector<std::optional<RawChange>> all(keys.size());
        if (reply.size() != keys.size()) {
            throw odd("the change of key " + keys[0]);
        }
        for (std::size_t i = 0; i < keys.size(); ++i) {
            if (reply[i].is_string()) {
                all[i] = JournalBytes::change(keys[i], reply[i].text());
                if (!all[i]) {
                    throw undecodable(keys[i], "its bytes are no change");
                }
            }
        }
        return all;
    }

    /// Of a change that does not decode: it will be buried by who claims it.
    [[nodiscard]] StoreError undecodable(const std::string& key, const std::string& why) const {
        return StoreError{"redis " + client_.name() + ": the change of key " + key + " in " +
                          names_.journal() + " does not decode: " + why};
    }

    [[nodiscard]] std::vector<RawClaim> claim(std::size_t max, Ttl life, Ttl age) {
        std::vector<RawClaim> claims;
        if (max == 0) {
            return claims;
        }
        const std::uint64_t name = new_id() | std::uint64_t{1}
                                                  << 63U;  // its last digits are replaced
        const std::string names = hex(name).substr(0, 12);
        const Reply reply = step(
            JournalScripts::instance().claim, "changes to claim",
            {std::to_string((std::min)(max, most_claims)), milliseconds(life), milliseconds(age),
             names,
             std::to_string((std::min)(client_.options().max_reply_bytes, most_claimed_bytes))},
            false);
        for (std::size_t i = 0; i + 2 < reply.size(); i += 3) {
            if (auto change = JournalBytes::change(reply[i].text(), reply[i + 1].text())) {
                claims.push_back({std::move(*change), (name & ~std::uint64_t{0xffff}) | (i / 3),
                                  static_cast<std::size_t>(
                                      JournalBytes::number(reply[i + 2].text()).value_or(0))});
            }
        }
        return claims;
    }

    void renew(std::span<const ClaimName> claims, Ttl life) {
        std::vector<std::string> args{milliseconds(life)};
        for (const ClaimName& one : claims) {
            args.insert(args.end(), {one.key, hex(one.claim)});
        }
        if (!claims.empty()) {
            static_cast<void>(step(JournalScripts::instance().renew, "claims", args, true));
        }
    }

    [[nodiscard]] std::vector<bool> settle(std::span<const ClaimName> claims) {
        std::vector<bool> settled(claims.size());
        if (claims.empty()) {
            return settled;
        }
        std::vector<std::string> args;
        for (const ClaimName& one : claims) {
            args.insert(args.end(), {one.key, padded(one.version), hex(one.claim)});
        }
        const Reply reply = step(JournalScripts::instance().settle, "claims", args, true);
        for (std::size_t i = 0; i < settled.size(); ++i) {
            settled[i] = reply[i].is_integer() && reply[i].integer() == 1;
        }
        return settled;
    }

    /// @param attempts  how often it was tried, this time included
    void defer(const ClaimName& mine, Ttl delay, std::size_t attempts) {
        static_cast<void>(step(JournalScripts::instance().defer, "the change of key " + mine.key,
                               {mine.key, padded(mine.version), hex(mine.claim),
                                milliseconds(delay), std::to_string(attempts)},
                               true));
    }

    bool bury(const ClaimName& mine, std::string_view why, std::size_t attempts) {
        return step(JournalScripts::instance().bury, "the change of key " + mine.key,
                    {mine.key, padded(mine.version), hex(mine.claim), std::to_string(attempts),
                     std::string{why}, hex(new_id())},
                    true)
                   .integer() == 1;
    }

    /// The oldest first.
    [[nodiscard]] std::vector<RawLetter> letters() const {
        Pipeline pipeline;
        pipeline.bulk().command("HGETALL", names_.letters());
        const Reply reply = run(pipeline, "the dead letters");
        std::vector<RawLetter> letters;
        for (std::size_t i = 0; i + 1 < reply.size(); i += 2) {
            letters.push_back(JournalBytes::letter(reply[i].text(), reply[i + 1].text()));
        }
        std::sort(letters.begin(), letters.end(), [](const RawLetter& a, const RawLetter& b) {
            return std::pair{a.last, a.change.version} < std::pair{b.last, b.change.version};
        });
        return letters;
    }

    bool revive(const std::string& key) {
        return step(JournalScripts::instance().revive, "the dead letter of key " + key, {key},
                    false)
                   .integer() == 1;
    }

    bool discard(const std::string& key) {
        return step(JournalScripts::instance().discard, "the dead letter of key " + key, {key},
                    false)
                   .integer() == 1;
    }

    /// The texts of all keys that have a change or a dead letter.
    [[nodiscard]] std::vector<std::string> names() const {
        Pipeline pipeline;
        pipeline.bulk().command("HKEYS", names_.changes()).command("HKEYS", names_.letters());
        std::vector<std::string> all;
        for (const Reply& reply : client_.run(pipeline)) {
            check(reply, "the keys");
            for (std::size_t i = 0; i < reply.size(); ++i) {
                all.emplace_back(reply[i].text());
            }
        }
        return all;
    }

    /// How many letters there are.
    [[nodiscard]] std::size_t buried() const {
        Pipeline pipeline;
        pipeline.command("HLEN", names_.letters());
        return static_cast<std::size_t>(run(pipeline, "the dead letters").integer());
    }

    [[nodiscard]] std::size_t size() const {
        Pipeline pipeline;
        pipeline.command("HLEN", names_.changes());
        return static_cast<std::size_t>(run(pipeline, "the changes").integer());
    }

    [[nodiscard]] std::optional<Ttl> oldest() const {
        Pipeline pipeline;
        pipeline.command("TIME")
            .command("ZRANGE", names_.waiting(), 0, 0, "WITHSCORES")
            .command("ZRANGE", names_.held(), 0, 0, "WITHSCORES");
        const std::vector<Reply> replies = client_.run(pipeline);
        std::optional<std::uint64_t> since;
        for (std::size_t i = 1; i < replies.size(); ++i) {
            check(replies[i], "the oldest change");
            if (const auto score = JournalBytes::number(replies[i][1].text())) {
                since = (std::min)(since.value_or(*score), *score);
            }
        }
        if (!since) {
            return std::nullopt;
        }
        const std::int64_t now = replies[0][0].integer() * 1'000'000 + replies[0][1].integer();
        return Ttl{(std::max)(now - static_cast<std::int64_t>(*since), std::int64_t{0}) / 1000};
    }

private:
    // What a script answers; 16 digits count them.
    static constexpr std::size_t most_claims = 4096;
    static constexpr std::size_t most_claimed_bytes = 16 * 1024 * 1024;

    [[nodiscard]] std::optional<std::uint64_t> version_in(const RecordRequest& request,
                                                          ReplyView reply) const {
        if (reply.is_error()) {
            recorder_.throw_error(request, reply);
        }
        const auto version = JournalBytes::number(reply.text());
        if (!version && !reply.is_nil()) {
            throw odd("the change of key " + request.key);
        }
        return version;
    }

    // What no journal answers: whatever that was, it tells nothing.
    [[nodiscard]] NoReply odd(const std::string& what) const {
        return {"redis " + client_.name() + ": " + what + " in " + names_.journal() +
                    ": a reply of another shape",
                Outcome::unknown};
    }

    // @param what        for messages
    // @param repeatable  it does no harm twice
    Reply step(const Script& script, std::string_view what, std::span<const std::string> args,
               bool repeatable) const {
        const std::vector<std::string_view> keys{names_.keys().begin(), names_.keys().end()};
        const std::vector<std::string_view> words{args.begin(), args.end()};
        Pipeline pipeline;
        pipeline.script(script, keys, words);
        if (repeatable) {
            pipeline.repeatable();
        }
        return run(pipeline, what);
    }
    Reply step(const Script& script, std::string_view what, std::initializer_list<std::string> args,
               bool repeatable) const {
        return step(script, what, std::span{args.begin(), args.size()}, repeatable);
    }

    Reply run(const Pipeline& pipeline, std::string_view what) const {
        Reply reply = client_.run_one(pipeline);
        check(reply, what);
        return reply;
    }
    void check(ReplyView reply, std::string_view what) const {
        if (reply.is_error()) {
            client_.throw_error(std::string{what} + " in " + names_.journal(), reply);
        }
    }

    static std::string milliseconds(Ttl time) {
        return std::to_string(larder::detail::cut(time).count());
    }
    static std::string padded(std::uint64_t number) {
        std::string digits = std::to_string(number);
        return digits.insert(0, digits.size() < 16 ? 16 - digits.size() : 0, '0');
    }

    const Client client_;
    const JournalNames names_;
    Recorder recorder_;
};

using JournalCore = BasicJournalCore<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_CORE_HPP
