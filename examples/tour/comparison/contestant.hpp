// SPDX-License-Identifier: MIT

/// @file
/// The strategies that are compared, behind one interface: four of larder, and two without it.

#ifndef LARDER_EXAMPLES_TOUR_COMPARISON_CONTESTANT_HPP
#define LARDER_EXAMPLES_TOUR_COMPARISON_CONTESTANT_HPP

#include "pages.hpp"
#include "tour/stores.hpp"
#if defined(TOUR_WITH_REDIS)
#include "tour/redis_stores.hpp"
#endif

#include <larder/larder.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace examples {

enum class Strategy {
    no_cache,
    by_hand,
    cache_aside,
    write_through,
    refresh_ahead,
    write_behind,
    durable_write_behind
};

struct Named {
    Strategy strategy;
    std::string_view name;
};
inline constexpr std::array contestants{
    Named{Strategy::no_cache, "no cache"},
    Named{Strategy::by_hand, "twenty lines by hand"},
    Named{Strategy::cache_aside, "CacheAside"},
    Named{Strategy::write_through, "WriteThrough"},
    Named{Strategy::refresh_ahead, "RefreshAhead"},
    Named{Strategy::write_behind, "WriteBehind"},
    Named{Strategy::durable_write_behind, "WriteBehind, durable"}};

inline constexpr std::size_t contestants_without_larder = 2;  ///< the first of them

/// A strategy at work. What is pending is written, if it can be, when it goes.
class Contestant {
public:
    Contestant() = default;
    Contestant(const Contestant&) = delete;
    Contestant& operator=(const Contestant&) = delete;
    virtual ~Contestant() = default;

    virtual std::optional<Page> get(int id) = 0;
    virtual void put(int id, const Page& page) = 0;

    /// The time between one request and the next has passed.
    virtual void pass() {}
};

using MakeContestant = std::function<std::unique_ptr<Contestant>(Strategy, Database&)>;

constexpr std::chrono::minutes page_ttl{1};
constexpr std::chrono::microseconds between_requests{1'800};

/// Every read asks the database.
class NoCache : public Contestant {
public:
    explicit NoCache(Pages pages) : pages_{std::move(pages)} {}
    std::optional<Page> get(int id) override { return pages_.load(id); }
    void put(int id, const Page& page) override { pages_.save(id, page); }

private:
    Pages pages_;
};

/// What one writes at first: get, else load and set; save, then delete. With an expiry and a lock,
/// and nothing that keeps a load from setting what was deleted meanwhile.
class ByHand : public Contestant {
public:
    explicit ByHand(Pages pages) : pages_{std::move(pages)} {}

    std::optional<Page> get(int id) override {
        {
            const std::scoped_lock lock{mutex_};
            const auto copy = copies_.find(id);
            if (copy != copies_.end() && clock_.now() < copy->second.until) {
                return copy->second.page;
            }
        }
        auto page = pages_.load(id);
        if (page) {
            const std::scoped_lock lock{mutex_};
            copies_[id] = {*page, clock_.now() + page_ttl};
        }
        return page;
    }
    void put(int id, const Page& page) override {
        pages_.save(id, page);
        const std::scoped_lock lock{mutex_};
        copies_.erase(id);
    }
    void pass() override { clock_.advance(between_requests); }

private:
    struct Copy {
        Page page;
        std::chrono::steady_clock::time_point until;
    };
    Pages pages_;
    larder::ManualClock clock_;
    std::mutex mutex_;
    std::unordered_map<int, Copy> copies_;
};

/// A policy of larder's.
template <class Policy, class Stores>
class Larder : public Contestant {
public:
    Larder(Policy policy, Stores stores) : stores_{std::move(stores)}, policy_{std::move(policy)} {}
    std::optional<Page> get(int id) override { return policy_.get(id); }
    void put(int id, const Page& page) override { policy_.put(id, page); }
    void pass() override { stores_.pass(between_requests); }

private:
    Stores stores_;
    Policy policy_;
};

template <class Stores>
std::unique_ptr<Contestant> make_contestant(Strategy strategy, Stores stores, Database& db) {
    const Pages pages{db};
    const auto larder = [&]<class Policy>(Policy policy) -> std::unique_ptr<Contestant> {
        return std::make_unique<Larder<Policy, Stores>>(std::move(policy), stores);
    };
    const auto store = [&] { return stores.template store<Page, int>(); };
    const larder::Options options{.ttl = page_ttl};
    switch (strategy) {
        case Strategy::no_cache: return std::make_unique<NoCache>(pages);
        case Strategy::by_hand: return std::make_unique<ByHand>(pages);
        case Strategy::cache_aside: return larder(larder::CacheAside{store(), pages, options});
        case Strategy::write_through: return larder(larder::WriteThrough{store(), pages, options});
        case Strategy::refresh_ahead: return larder(larder::RefreshAhead{store(), pages, options});
        case Strategy::write_behind: {
            const auto copies = store();
            return larder(larder::WriteBehind{copies, pages, journal_in_memory(copies), options});
        }
        case Strategy::durable_write_behind:
            // Who comes next takes over what a killed process had in hand.
            return larder(larder::WriteBehind{store(),
                                              pages,
                                              stores.template durable_journal<Page, int>(db.path()),
                                              options,
                                              {.claim = std::chrono::seconds{1}}});
    }
    throw std::invalid_argument{"no such strategy"};
}

extern template std::unique_ptr<Contestant> make_contestant(Strategy, InMemory, Database&);
#if defined(TOUR_WITH_REDIS)
extern template std::unique_ptr<Contestant> make_contestant(Strategy, InRedis, Database&);
#endif

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_COMPARISON_CONTESTANT_HPP
