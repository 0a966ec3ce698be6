// SPDX-License-Identifier: MIT

/// @file
/// Many threads over one journal: writers, and flushers whose database is fenced by versions.

#ifndef LARDER_TESTS_CONTRACT_JOURNAL_CROWD_HPP
#define LARDER_TESTS_CONTRACT_JOURNAL_CROWD_HPP

#include "journal_bench.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test::contract {

/// What the database of the crowd has, and what was acknowledged to its writers.
class CrowdRows {
public:
    static constexpr int keys = 12;

    struct Row {
        std::uint64_t version = 0;
        std::optional<int> value{};
    };

    void write(int key, std::uint64_t version, std::optional<int> value) {
        const std::scoped_lock lock{mutex_};
        Row& row = rows_[static_cast<std::size_t>(key)];
        if (row.version <= version) {
            row = {version, value};
        }
    }
    void acknowledged(int key, std::uint64_t version, std::optional<int> value) {
        const std::scoped_lock lock{mutex_};
        Row& row = newest_[static_cast<std::size_t>(key)];
        if (row.version == version) {
            complain("version " + std::to_string(version) + " was given twice");
        }
        if (row.version < version) {
            row = {version, value};
        }
    }
    void in_hand(int key, int by) {
        const int count = hands_[static_cast<std::size_t>(key)] += by;
        if (count > 1) {
            const std::scoped_lock lock{mutex_};
            complain("key " + std::to_string(key) + " is in two hands");
        }
    }
    /// Empty if every row is its key's last acknowledged change.
    std::string wrong() {
        const std::scoped_lock lock{mutex_};
        for (std::size_t key = 0; key < rows_.size(); ++key) {
            if (rows_[key].version != newest_[key].version ||
                rows_[key].value != newest_[key].value) {
                complain("key " + std::to_string(key) + " does not end as acknowledged");
            }
        }
        return wrong_;
    }

private:
    void complain(const std::string& what) { wrong_ += what + '\n'; }

    std::mutex mutex_{};
    std::string wrong_{};
    std::array<Row, keys> rows_{};
    std::array<Row, keys> newest_{};
    std::array<std::atomic<int>, keys> hands_{};
};

/// Takes what is due, writes it, and settles it; now and then defers, buries and revives, or lets a claim
/// go.
template <class J>
void flush_some(JournalBench<J>& b, CrowdRows& rows, std::mt19937& random) {
    const auto claims = b.journal.claim(1 + random() % 4, 1h, 0ms);
    std::vector<typename JournalBench<J>::Claim> written;
    for (const auto& claimed : claims) {
        const int key = b.number(claimed.change.key);
        rows.in_hand(key, 1);
        const auto& value = claimed.change.value;
        switch (random() % 8) {
            case 0:
                rows.in_hand(key, -1);
                b.journal.defer(claimed, 0ms);
                break;
            case 1:
                rows.in_hand(key, -1);
                b.journal.bury(claimed, "why");
                (void)b.journal.revive(claimed.change.key);
                break;
            case 2:
                rows.in_hand(key, -1);
                b.journal.renew({&claimed, 1}, 0ms);
                break;
            default:
                rows.write(key, claimed.change.version,
                           value ? std::optional{Numbered<typename J::value_type>::from(*value)}
                                 : std::nullopt);
                written.push_back(claimed);
        }
    }
    b.journal.renew(written, 2h);
    for (const auto& claimed : written) {
        rows.in_hand(b.number(claimed.change.key), -1);
    }
    (void)b.journal.settle(written);
}

/// Whatever they do at once, each key ends as its last acknowledged change says.
template <class J>
void crowd_contract(JournalBench<J>& b) {
    constexpr int writers = 4;
    constexpr int writes = 150;
    CrowdRows rows;
    std::atomic<int> writing{writers};
    {
        std::vector<std::jthread> crowd;
        for (int number = 0; number < writers; ++number) {
            crowd.emplace_back([&, number] {
                std::mt19937 random{static_cast<unsigned>(number)};
                for (int i = 0; i < writes; ++i) {
                    const int key = static_cast<int>(random() % CrowdRows::keys);
                    const std::optional<int> value =
                        random() % 3 == 0 ? std::nullopt : std::optional{number * writes + i};
                    rows.acknowledged(key, b.record(key, value), value);
                    (void)b.journal.pending(b.key(key));
                    (void)b.journal.oldest();
                }
                --writing;
            });
        }
        for (int number = 0; number < 3; ++number) {
            crowd.emplace_back([&, number] {
                std::mt19937 random{static_cast<unsigned>(100 + number)};
                while (writing > 0) {
                    flush_some(b, rows, random);
                }
            });
        }
    }
    std::mt19937 random{7};
    for (int round = 0; round < 10'000 && b.journal.size() > 0; ++round) {
        flush_some(b, rows, random);
    }
    CHECK(b.journal.size() == 0);
    CHECK(b.journal.dead_letters().empty());
    CHECK(rows.wrong() == "");
}

}  // namespace larder_test::contract

#endif  // LARDER_TESTS_CONTRACT_JOURNAL_CROWD_HPP
