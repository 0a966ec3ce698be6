// SPDX-License-Identifier: MIT

/// @file
/// What there is of some keys, each under a lock.

#ifndef LARDER_DETAIL_FLIGHT_KEY_TABLE_HPP
#define LARDER_DETAIL_FLIGHT_KEY_TABLE_HPP

#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <iterator>
#include <mutex>
#include <unordered_map>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// A state for each key that has any, in shards of a lock each. A state that is `idle()` when it has
/// been looked at takes no room any more.
///
/// Thread safety: all members may run concurrently.
template <class K, class State>
class KeyTable {
    using States = std::unordered_map<K, State, Hash<K>, std::equal_to<>>;

    struct Shard {
        std::mutex mutex{};
        States states{};
        std::size_t sweep_at = 64;
    };

public:
    /// Whether a state is made where there is none.
    enum class Make : bool { no, yes };

    /// One key's state, under its lock.
    class Locked {
    public:
        Locked(KeyTable& table, const K& key, Make make)
            : shard_{table.shards_[Hash<K>{}(key) % shard_count]},
              lock_{shard_.mutex},
              at_{make == Make::yes ? shard_.states.try_emplace(key).first
                                    : shard_.states.find(key)} {}
        Locked(const Locked&) = delete;
        Locked& operator=(const Locked&) = delete;
        ~Locked() {
            if (at_ != shard_.states.end() && at_->second.idle()) {
                gone_ = shard_.states.extract(at_);
                lock_.unlock();  // what it held is destroyed without the lock
            }
        }

        /// Null if there is none.
        [[nodiscard]] State* state() const noexcept {
            return at_ != shard_.states.end() ? &at_->second : nullptr;
        }
        State* operator->() const noexcept { return state(); }

        /// Now and then, as the table grows, lets `end` end what has passed in the other states of the
        /// shard; what is idle then goes. Of use where keys are not asked for again.
        template <class End>
        void sweep(const End& end) const {
            if (shard_.states.size() < shard_.sweep_at) {
                return;
            }
            for (auto it = shard_.states.begin(); it != shard_.states.end();) {
                end(it->second);
                it = it != at_ && it->second.idle() ? shard_.states.erase(it) : std::next(it);
            }
            shard_.sweep_at = 64 + 2 * shard_.states.size();
        }

    private:
        Shard& shard_;
        typename States::node_type gone_{};
        std::unique_lock<std::mutex> lock_;
        typename States::iterator at_;
    };

    /// Keys whose state satisfies `is`.
    template <class Is>
    [[nodiscard]] std::size_t count(const Is& is) {
        std::size_t all = 0;
        for (Shard& shard : shards_) {
            const std::scoped_lock lock{shard.mutex};
            for (const auto& [key, state] : shard.states) {
                all += is(state) ? 1U : 0U;
            }
        }
        return all;
    }

private:
    static constexpr std::size_t shard_count = 16;
    std::array<Shard, shard_count> shards_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_KEY_TABLE_HPP
