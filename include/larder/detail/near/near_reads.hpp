// SPDX-License-Identifier: MIT

/// @file
/// Reads of a store with near copies: near first, and far for what near lacks.

#ifndef LARDER_DETAIL_NEAR_NEAR_READS_HPP
#define LARDER_DETAIL_NEAR_NEAR_READS_HPP

#include <larder/detail/near/near_copies.hpp>
#include <larder/detail/near/near_lease.hpp>
#include <larder/detail/near/near_query.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The reads of one store. A thin view: make one where it is needed.
///
/// A read that near does not serve takes the near lease, if it is free, and asks far. If another thread
/// has made a copy by then, it is served; if another has the lease, it waits for what far tells that one, once; that asks for nothing but far, and so waits
/// for no load. What was asked of far and does not go into near drops what near has. So no read goes back
/// behind one that has ended, and many that come at once ask far once. Rules N3 and N5.
template <class Near, class Far>
class NearReads {
public:
    using Key = typename Near::key_type;
    using Value = typename Near::value_type;
    using FarQuery = typename Far::Query;
    using Query = NearQuery<FarQuery>;

    NearReads(NearCopies<Near>& copies, Far& far) noexcept : copies_{copies}, far_{far} {}

    /// The read of a key that near has not served.
    ///
    /// @param see  as of `peek`
    template <class See>
    [[gnu::noinline]] bool peek(const Key& key, const See& see, Query& query) {
        NearLease<Near> lease{copies_, key};
        if (!query.ask.skip) {
            lease.take();
            if (lease.found() ? look(key, see, query) : lease.joined() && wait(lease, see, query)) {
                return true;
            }
        }
        FarCopy<Value> copy;
        bool fresh = false;
        if (lease.held()) {
            ask_for_near<FarQuery>(query);
        }
        NearDrop drop{copies_, key};
        const bool there = far_.peek(
            key,
            [&](const Value* value, Remaining remaining, Ttl life, bool refreshing) {
                see(value, remaining, life, refreshing);
                fresh = lease.held() && take(value, remaining, life, copy);
            },
            static_cast<FarQuery&>(query));
        if (fresh) {
            take_tags(query, copy);
            lease.fill(std::move(copy), usual_life<FarQuery>(query));
        }
        if (fresh || !there) {
            drop.dismiss();
        }
        return there;
    }

    /// The same for many, as `see(index, …)`: far is asked, in one round trip, for what near lacks. What other
    /// threads ask it for is waited for last.
    ///
    /// @param queries  one a key
    template <class See>
    void peek_many(std::span<const Key> keys, const See& see, std::span<Query> queries) {
        std::deque<Part> parts;
        std::vector<Part*> asked;
        std::vector<Part*> joined;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            Query& query = queries[i];
            if (query.ask.skip) {
                asked.push_back(&parts.emplace_back(copies_, keys[i], i));
            } else if (!look(keys[i], at(i, see), query)) {
                Part& part = parts.emplace_back(copies_, keys[i], i);
                part.lease.take();
                if (part.lease.found() && look(keys[i], at(i, see), query)) {
                    part.drop.dismiss();
                } else {
                    (part.lease.joined() ? joined : asked).push_back(&part);
                }
            }
        }
        ask_far(keys, see, queries, asked);
        asked.clear();
        for (Part* const part : joined) {
            if (wait(part->lease, at(part->at, see), queries[part->at])) {
                part->drop.dismiss();
            } else {
                asked.push_back(part);
            }
        }
        ask_far(keys, see, queries, asked);
    }

private:
    // One of many that near has not served.
    struct Part {
        Part(NearCopies<Near>& copies, const Key& key, std::size_t index) noexcept
            : at{index}, lease{copies, key}, drop{copies, key} {}

        std::size_t at;
        NearLease<Near> lease;
        NearDrop<Near> drop;
        FarCopy<Value> copy{};
        bool fresh = false;
        bool there = false;
    };

    template <class See>
    [[nodiscard]] static auto at(std::size_t i, const See& see) {
        return [i, &see](const Value* value, Remaining remaining, Ttl life, bool refreshing) {
            see(i, value, remaining, life, refreshing);
        };
    }

    // Who sees it is to know where it comes from.
    template <class See>
    bool look(const Key& key, const See& see, Query& query) {
        query.served = true;
        query.served = copies_.look(key, see, query.ask);
        return query.served;
    }

    // Another thread asks far for it. False: this one is to ask as well.
    template <class See>
    bool wait(NearLease<Near>& lease, const See& see, Query& query) {
        const Fetched<Value>* const told = lease.wait();
        if (look(lease.key(), see, query)) {
            return true;
        }
        if (told == nullptr || query.ask.tagged) {  // nobody knows whether it has tags
            return false;
        }
        see(told->value ? std::addressof(*told->value) : nullptr, Remaining{told->remaining},
            told->age + told->remaining, false);
        return true;
    }

    // False if it is not to be kept, or cannot be.
    static bool take(const Value* value, Remaining remaining, Ttl life,
                     FarCopy<Value>& copy) noexcept {
        if (remaining <= Remaining::zero()) {
            return false;
        }
        try {
            if (value != nullptr) {
                copy.value.emplace(*value);
            }
            copy.remaining = remaining;
            copy.life = life;
            return true;
        } catch (...) {
            return false;
        }
    }
    static void take_tags([[maybe_unused]] FarQuery& query, [[maybe_unused]] FarCopy<Value>& copy) {
        if constexpr (TellsTags<FarQuery>) {
            copy.tags = std::move(query.tags);
        }
    }

    template <class See>
    void ask_far(std::span<const Key> keys, const See& see, std::span<Query> queries,
                 const std::vector<Part*>& parts) {
        if (parts.empty()) {
            return;
        }
        std::vector<Key> some;
        std::vector<FarQuery> asked;
        some.reserve(parts.size());
        asked.reserve(parts.size());
        for (const Part* const part : parts) {
            some.push_back(keys[part->at]);
            FarQuery& query = asked.emplace_back(queries[part->at]);
            ask_for_near(query);  // of all the same
        }
        const auto seen = [&](std::size_t i, const Value* value, Remaining remaining, Ttl life,
                              bool refreshing) {
            Part& part = *parts[i];
            see(part.at, value, remaining, life, refreshing);
            part.there = true;
            part.fresh = part.lease.held() && take(value, remaining, life, part.copy);
        };
        detail::peek_many(far_, std::span<const Key>{some}, seen, std::span{asked});
        for (std::size_t i = 0; i < parts.size(); ++i) {
            Part& part = *parts[i];
            if (part.fresh) {
                take_tags(asked[i], part.copy);
                part.lease.fill(std::move(part.copy), usual_life(asked[i]));
            }
            part.lease.give_back();
            if (part.fresh || !part.there) {
                part.drop.dismiss();
            }
            static_cast<FarQuery&>(queries[part.at]) = std::move(asked[i]);
        }
    }

    NearCopies<Near>& copies_;
    Far& far_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_NEAR_NEAR_READS_HPP
