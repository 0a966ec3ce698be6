// SPDX-License-Identifier: MIT

/// @file
/// A plain store and a database of which any step may fail.

#ifndef LARDER_TESTS_SUPPORT_BRITTLE_HPP
#define LARDER_TESTS_SUPPORT_BRITTLE_HPP

#include "support/failing.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace larder_test {

/// A key and a value of which every step may fail.
using Frail = Brittle<true>;

/// What fails before or after it has been done.
class Twice {
public:
    explicit Twice(Fault fault) : fault_{fault} { Failing::step(fault_); }
    void done() const { Failing::step(fault_); }

private:
    Fault fault_;
};

/// A user's three-function store. Copies share their entries.
class BrittleStore {
public:
    using key_type = Frail;
    using value_type = Frail;

    [[nodiscard]] const BrittleClock& clock() const { return state_->clock; }

    std::optional<larder::Entry<Frail>> find(const Frail& key) const {
        Failing::step(Fault::store);
        const std::scoped_lock lock{state_->mutex};
        const auto at = state_->entries.find(key.number());
        const auto now = clock().manual.now();
        if (at == state_->entries.end() || now >= at->second.gone_at) {
            return {};
        }
        larder::Entry<Frail> entry;
        if (at->second.number) {
            entry.value.emplace(*at->second.number);
        }
        entry.remaining = std::chrono::ceil<larder::Ttl>(at->second.stale_at - now);
        return entry;
    }
    void put(const Frail& key, std::optional<Frail> value, larder::Lifetime life) const {
        const Twice step{Fault::store};
        {
            const std::scoped_lock lock{state_->mutex};
            const auto stale_at = clock().manual.now() + life.fresh;
            state_->entries[key.number()] = {value ? std::optional{value->number()} : std::nullopt,
                                             stale_at, stale_at + life.grace};
        }
        step.done();
    }
    bool erase(const Frail& key) const {
        const Twice step{Fault::store};
        bool had = false;
        {
            const std::scoped_lock lock{state_->mutex};
            had = state_->entries.erase(key.number()) > 0;
        }
        step.done();
        return had;
    }
    void clear() const {
        const std::scoped_lock lock{state_->mutex};
        state_->entries.clear();
    }

private:
    struct Held {
        std::optional<int> number;
        std::chrono::steady_clock::time_point stale_at;
        std::chrono::steady_clock::time_point gone_at;
    };
    struct State {
        std::mutex mutex{};
        std::map<int, Held> entries{};
        BrittleClock clock{};
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// A database table. Copies share their rows.
class BrittleTable {
public:
    std::optional<Frail> load(const Frail& key) const {
        const Twice step{Fault::loader};
        ++state_->loads;
        std::optional<Frail> row;
        if (const auto number = this->row(key.number())) {
            row.emplace(*number);
        }
        step.done();
        return row;
    }
    void save(const Frail& key, const Frail& value) const { commit(key, value.number()); }
    void remove(const Frail& key) const { commit(key, std::nullopt); }

    /// That did not fail at once.
    [[nodiscard]] int loads() const { return state_->loads; }

    /// What another program does.
    void set(int key, std::optional<int> number) const {
        const std::scoped_lock lock{state_->mutex};
        state_->rows[key] = number;
    }
    [[nodiscard]] std::optional<int> row(int key) const {
        const std::scoped_lock lock{state_->mutex};
        const auto at = state_->rows.find(key);
        return at == state_->rows.end() ? std::nullopt : at->second;
    }

protected:
    void commit(const Frail& key, std::optional<int> number) const {
        const Twice step{Fault::repository};
        set(key.number(), number);
        step.done();
    }

private:
    struct State {
        std::mutex mutex{};
        std::map<int, std::optional<int>> rows{};
        std::atomic<int> loads{0};
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// One that takes and gives many at once.
class BrittleBatches : public BrittleTable {
public:
    std::vector<std::optional<Frail>> load_many(std::span<const Frail> keys) const {
        std::vector<std::optional<Frail>> rows;
        for (const Frail& key : keys) {
            rows.push_back(load(key));
        }
        return rows;
    }
    void save_many(std::span<const larder::Change<Frail, Frail>> changes) const {
        for (const auto& change : changes) {
            commit(change.key, change.value ? std::optional{change.value->number()} : std::nullopt);
        }
    }
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BRITTLE_HPP
