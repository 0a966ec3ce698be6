// SPDX-License-Identifier: MIT

/// @file
/// A policy of the library as what a fleet's member works with.

#ifndef LARDER_TESTS_SUPPORT_FLEET_POLICIES_HPP
#define LARDER_TESTS_SUPPORT_FLEET_POLICIES_HPP

#include "support/fleet/strategy.hpp"

#include <larder/larder.hpp>

#include <array>
#include <functional>
#include <string>
#include <utility>

namespace larder_test {

/// The tag that a row carries: half of all keys carry the same.
inline std::string tag_of(int key) {
    return "half:" + std::to_string(key % 2);
}
/// The same, from what is cached of it: "key@version".
inline larder::Tags tags_of_row(const std::string& row) {
    return {tag_of(std::stoi(row))};
}

inline larder::Tags tags_of_absence(int key) {
    return {tag_of(key)};
}

/// Any policy of `int` keys and string values, tagged or not.
template <class P>
class PolicyStrategy final : public Strategy {
public:
    explicit PolicyStrategy(P policy) : policy_{std::move(policy)} {}

    Row get(int key) override { return policy_.get(key); }
    Row refresh(int key) override { return policy_.refresh(key); }
    std::array<Row, 2> get_two(int a, int b) override {
        auto rows = policy_.get_many({a, b});
        return {std::move(rows[0]), std::move(rows[1])};
    }
    void put(int key) override { policy_.put(key, {}); }
    void remove(int key) override { policy_.remove(key); }
    void invalidate(int key) override { policy_.invalidate(key); }
    void invalidate_tag_of(int key) override {
        if constexpr (requires { policy_.invalidate_tag(std::string{}); }) {
            policy_.invalidate_tag(tag_of(key));
        } else {
            policy_.invalidate(key);
        }
    }
    void write(int key, const std::function<void()>& transaction) override {
        auto writing = policy_.writing(key);
        try {
            transaction();
        } catch (const larder::NotWritten&) {
            writing.rollback();
            throw;
        }
        writing.commit();
    }
    void add_to(Tally& tally) const override {
        const larder::Stats stats = policy_.stats();
        tally.hits += stats.hits;
        tally.stale_hits += stats.stale_hits;
        tally.loads += stats.loads;
        tally.joined += stats.joined;
        tally.bypassed += stats.bypassed;
        tally.fenced_fills += stats.fenced_fills;
        tally.lost_tickets += stats.lost_tickets;
        tally.refreshes += stats.refreshes;
        tally.store_errors += stats.store_errors;
    }

private:
    P policy_;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_POLICIES_HPP
