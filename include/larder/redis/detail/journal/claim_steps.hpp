// SPDX-License-Identifier: MIT

/// @file
/// Renews and settles claims of a journal, many at once.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_CLAIM_STEPS_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_CLAIM_STEPS_HPP

#include <larder/redis/detail/journal/partitions.hpp>
#include <larder/redis/detail/journal/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
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

/// The claims of one partition that one script has given are told of by the name of their hand, as long as
/// none of them is missing: the server knows their keys. Others, and those of a hand that is not there as
/// a whole, are named one by one.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicClaimSteps {
public:
    /// @param partitions  outlive it
    explicit BasicClaimSteps(const JournalPartitions& partitions) noexcept
        : partitions_{partitions} {}

    /// They live on; those that do not count any more are left out.
    ///
    /// @throws StoreError  the server cannot be asked
    void renew(std::span<const ClaimName> claims, const std::string& life_ms) const {
        const JournalScripts& scripts = JournalScripts::instance();
        const auto one = [](const ClaimName& name, Words& words) {
            words.insert(words.end(), {name.key, hex(name.claim)});
        };
        const auto hand = [](const Hand&, Words&) {};
        carry_out(claims, {life_ms}, scripts.renew, one, scripts.renew_hand, hand,
                  [](const PartitionShare&, ReplyView) {});
    }

    /// The database has them: which of them were still the claim's, and the newest.
    ///
    /// @throws StoreError  the server cannot be asked
    [[nodiscard]] std::vector<bool> settle(std::span<const ClaimName> claims) const {
        const JournalScripts& scripts = JournalScripts::instance();
        std::vector<bool> settled(claims.size());
        const auto one = [](const ClaimName& name, Words& words) {
            words.insert(words.end(), {name.key, padded(name.version), hex(name.claim)});
        };
        const auto hand = [&](const Hand& places, Words& words) {
            std::string& versions = words.emplace_back();
            versions.reserve(16 * places.size());
            for (const std::size_t i : places) {
                versions += padded(claims[i].version);
            }
        };
        carry_out(claims, {}, scripts.settle, one, scripts.settle_hand, hand,
                  [&](const PartitionShare& share, ReplyView reply) {
                      for (std::size_t at = 0; at < share.places.size(); ++at) {
                          const ReplyView each = reply.is_integer() ? reply : reply[at];
                          settled[share.places[at]] = each.is_integer() && each.integer() == 1;
                      }
                  });
        return settled;
    }

    /// A number of 16 digits.
    [[nodiscard]] static std::string padded(std::uint64_t number) {
        std::string digits = std::to_string(number);
        return digits.insert(0, digits.size() < 16 ? 16 - digits.size() : 0, '0');
    }

private:
    using Words = std::vector<std::string>;
    using Hand = std::vector<std::size_t>;  // the places of its claims

    // What does no harm twice: a script a partition, all in one round trip, or two where a hand is not there.
    template <class One, class OfHand, class See>
    void carry_out(std::span<const ClaimName> claims, const Words& first, const Script& script,
                   const One& one, const Script& hand_script, const OfHand& of_hand,
                   const See& see) const {
        auto left = partitions_.shares(
            claims.size(), [&](std::size_t i) -> const std::string& { return claims[i].key; });
        for (bool hands = true; !left.empty(); hands = false) {
            Pipeline pipeline;
            pipeline.repeatable();
            for (const PartitionShare& share : left) {
                Words words = first;
                const bool together = hands && is_hand(claims, share.places);
                if (together) {
                    words.push_back(hex(claims[share.places[0]].claim).substr(0, 12));
                    words.push_back(std::to_string(share.places.size()));
                    of_hand(share.places, words);
                } else {
                    for (const std::size_t i : share.places) {
                        one(claims[i], words);
                    }
                }
                JournalPartitions::add(pipeline, partitions_[share.partition],
                                       together ? hand_script : script, words);
            }
            const std::vector<Reply> replies = partitions_.run(pipeline, "claims");
            std::vector<PartitionShare> again;
            for (std::size_t i = 0; i < left.size(); ++i) {
                if (replies[i].is_nil()) {
                    again.push_back(std::move(left[i]));
                } else {
                    see(left[i], replies[i]);
                }
            }
            left = std::move(again);
        }
    }

    // In their order, from the first on.
    static bool is_hand(std::span<const ClaimName> claims, const Hand& places) noexcept {
        const std::uint64_t first = claims[places[0]].claim;
        for (std::size_t i = 0; i < places.size(); ++i) {
            if (claims[places[i]].claim != first + i) {
                return false;
            }
        }
        return (first & 0xffffU) == 0;
    }

    const JournalPartitions& partitions_;
};

using ClaimSteps = BasicClaimSteps<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_CLAIM_STEPS_HPP
