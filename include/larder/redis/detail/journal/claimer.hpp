// SPDX-License-Identifier: MIT

/// @file
/// Claims changes of all partitions of a journal.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_CLAIMER_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_CLAIMER_HPP

#include <larder/error.hpp>
#include <larder/redis/detail/journal/journal_bytes.hpp>
#include <larder/redis/detail/journal/partitions.hpp>
#include <larder/redis/detail/journal/scripts.hpp>
#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
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

/// What is claimed of each partition.
struct ClaimTerms {
    std::string life_ms{};
    std::string age_ms{};
    std::size_t most_bytes = 0;  ///< of all
};

/// Claims. The partitions that had something when last seen are asked for a share each, in turn, and the
/// others whether they have something now, which costs next to nothing: all of it in one round trip, or in
/// two if there was something where nothing was. Where nothing waits, that is one plain read.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicClaimer {
public:
    /// @param partitions  outlive it
    explicit BasicClaimer(const JournalPartitions& partitions)
        : partitions_{partitions}, busy_(partitions.count()) {}

    /// Something was recorded there.
    void note(std::size_t partition) noexcept {
        busy_[partition].store(true, std::memory_order_relaxed);
    }

    /// Up to `max`, of each partition the oldest first.
    ///
    /// @throws StoreError  none of the servers can be asked. One that cannot leaves its partitions out
    [[nodiscard]] std::vector<RawClaim> claim(std::size_t max, const ClaimTerms& terms) {
        std::vector<RawClaim> claims;
        max = (std::min)(max, most_claims);
        if (max == 0) {
            return claims;
        }
        const auto [busy, quiet] = choose();
        const std::size_t first = (std::min)(max, busy.size());
        std::vector<std::size_t> rest =
            ask(std::span{busy}.first(first), quiet, max, terms, claims);
        rest.insert(rest.end(), busy.begin() + static_cast<std::ptrdiff_t>(first), busy.end());
        if (claims.size() < max && !rest.empty()) {
            static_cast<void>(ask(rest, {}, max - claims.size(), terms, claims));
        }
        if (claims.size() > max) {
            give_back(std::span{claims}.subspan(max));
            claims.resize(max);
        }
        return claims;
    }

private:
    static constexpr std::size_t most_claims = 4096;  // what a script answers; 16 digits count them
    static constexpr std::size_t most_looks = 256;    // so many are looked at each time

    // Whom to ask, and where to look: another first each time.
    std::pair<std::vector<std::size_t>, std::vector<std::size_t>> choose() {
        std::pair<std::vector<std::size_t>, std::vector<std::size_t>> chosen;
        const std::size_t count = partitions_.count();
        const std::size_t first = next_.fetch_add(1, std::memory_order_relaxed);
        for (std::size_t i = first; i < first + count; ++i) {
            if (busy_[i % count].load(std::memory_order_relaxed)) {
                chosen.first.push_back(i % count);
            }
        }
        const std::size_t looks = (std::min)(most_looks, count);
        const std::size_t look = next_look_.fetch_add(looks, std::memory_order_relaxed);
        for (std::size_t i = look; i < look + looks; ++i) {
            if (!busy_[i % count].load(std::memory_order_relaxed)) {
                chosen.second.push_back(i % count);
            }
        }
        return chosen;
    }

    // Appends to the claims, one for each busy one at least; which of the quiet ones are not.
    std::vector<std::size_t> ask(std::span<const std::size_t> busy,
                                 std::span<const std::size_t> quiet, std::size_t max,
                                 const ClaimTerms& terms, std::vector<RawClaim>& claims) {
        Pipeline pipeline;
        std::vector<std::uint64_t> names;
        for (std::size_t i = 0; i < busy.size(); ++i) {
            const std::size_t share =
                (std::max)(max / busy.size() + (i < max % busy.size() ? 1 : 0), std::size_t{1});
            // Its last digits are replaced.
            names.push_back((new_id() | std::uint64_t{1} << 63U) & ~std::uint64_t{0xffff});
            const std::vector<std::string> args{std::to_string(share), terms.life_ms, terms.age_ms,
                                                hex(names.back()).substr(0, 12),
                                                std::to_string(terms.most_bytes / busy.size())};
            JournalPartitions::add(pipeline, partitions_[busy[i]], JournalScripts::instance().claim,
                                   args);
        }
        for (const std::size_t partition : quiet) {
            pipeline.command("HLEN", partitions_[partition].changes());
        }
        std::vector<Reply> replies(pipeline.size());
        run(pipeline, replies);
        for (std::size_t i = 0; i < busy.size(); ++i) {
            take(busy[i], replies[i], names[i], claims);
        }
        std::vector<std::size_t> woken;
        for (std::size_t i = 0; i < quiet.size(); ++i) {
            const Reply& reply = replies[busy.size() + i];
            if (reply.is_integer() && reply.integer() > 0) {
                note(quiet[i]);
                woken.push_back(quiet[i]);
            }
        }
        return woken;
    }

    // More than were asked for: others may have them. If a server cannot be told, they end by themselves.
    void give_back(std::span<const RawClaim> claims) const noexcept {
        try {
            Pipeline pipeline;
            pipeline.repeatable();
            for (const RawClaim& one : claims) {
                const std::vector<std::string> args{"0", one.change.key, hex(one.claim)};
                JournalPartitions::add(pipeline, partitions_[partitions_.of(one.change.key)],
                                       JournalScripts::instance().renew, args);
            }
            static_cast<void>(partitions_.ask(pipeline));
        } catch (...) {}
    }

    // What was claimed where servers have answered is claimed, though another has not.
    void run(const Pipeline& pipeline, std::vector<Reply>& replies) const {
        std::exception_ptr failure;
        try {
            partitions_.ask(pipeline, replies);
        } catch (const StoreError&) {
            failure = std::current_exception();
        }
        if (std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
                return reply.is_array() || reply.is_integer();
            })) {
            return;
        }
        if (failure) {
            std::rethrow_exception(failure);
        }
        for (const Reply& reply : replies) {
            partitions_.check(reply, "changes to claim");
        }
    }

    void take(std::size_t partition, const Reply& reply, std::uint64_t name,
              std::vector<RawClaim>& claims) {
        const std::size_t count = reply.size() / 2;
        if (reply.is_array() && count == 0) {
            busy_[partition].store(false, std::memory_order_relaxed);
        }
        std::string_view tries = reply[2 * count].text();
        for (std::size_t i = 0; i < count; ++i) {
            const std::string_view line = tries.substr(0, tries.find('\n'));
            tries.remove_prefix((std::min)(tries.size(), line.size() + 1));
            if (auto change = JournalBytes::change(reply[2 * i].text(), reply[2 * i + 1].text())) {
                claims.push_back(
                    {std::move(*change), name | i,
                     static_cast<std::size_t>(JournalBytes::number(line).value_or(0))});
            }
        }
    }

    const JournalPartitions& partitions_;
    std::vector<std::atomic<bool>> busy_;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::size_t> next_look_{0};
};

using Claimer = BasicClaimer<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_CLAIMER_HPP
