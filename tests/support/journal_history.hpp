// SPDX-License-Identifier: MIT

/// @file
/// A history of a SqliteJournal on a SimulatedDisk: every verb, and what is to be seen after each step.

#ifndef LARDER_TESTS_SUPPORT_JOURNAL_HISTORY_HPP
#define LARDER_TESTS_SUPPORT_JOURNAL_HISTORY_HPP

#include "support/simulated_disk.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

class JournalHistory {
public:
    using Journal =
        larder::SqliteJournal<int, std::string, larder::RawCodec<>, larder::ManualClock>;

    static constexpr const char* path = "a.journal";

    /// Its log is taken over every few pages: that is part of the history.
    static void checkpoint_often() {
        using Entry = int (*)(sqlite3*, const char**, const sqlite3_api_routines*);
        const Entry entry = [](sqlite3* db, const char**, const sqlite3_api_routines*) {
            return sqlite3_wal_autocheckpoint(db, 12);
        };
        sqlite3_auto_extension(reinterpret_cast<void (*)()>(entry));
    }

    struct Step {
        const char* name;
        std::function<void(JournalHistory&)> act;
        bool lasting =
            true;  // acknowledged, it outlives a power cut; else only once a later one has
    };
    static const std::vector<Step>& steps() {
        static const std::vector<Step> all = make_steps();
        return all;
    }

    void open() {
        journal_ = std::make_unique<Journal>(path, larder::SqliteJournalOptions{},
                                             larder::RawCodec<>{}, clock_);
    }
    void close() { journal_.reset(); }
    [[nodiscard]] bool is_open() const { return journal_ != nullptr; }
    Journal& journal() { return *journal_; }

    /// All that is to be seen of it, versions and claims apart: those are checked.
    std::string seen() {
        std::string text = std::to_string(journal().size()) + " pending: ";
        for (int key = 0; key < keys; ++key) {
            if (const auto change = journal().pending(key)) {
                text += std::to_string(key) + '=' + show(change->value) + ' ';
            }
        }
        text += "dead: ";
        for (const auto& letter : journal().dead_letters()) {
            text += std::to_string(letter.change.key) + '=' + show(letter.change.value) + ':' +
                    letter.why + ' ';
        }
        return text;
    }
    /// Nothing is in hand, and no version is given twice; empty if so. Nothing can be asked after that.
    std::string wrong_after_restart() {
        const std::size_t pending = journal().size();
        if (journal()
                .claim((std::numeric_limits<std::size_t>::max)(), larder::Ttl{1000}, larder::Ttl{0})
                .size() != pending) {
            return "something is in hand";
        }
        return record(1, "again") ? "" : "a version was given again";
    }

private:
    static constexpr int keys = 40;

    static std::string show(const std::optional<std::string>& value) {
        return value ? value->substr(0, 12) + '+' + std::to_string(value->size()) : "none";
    }
    // False if its version is not greater than all that were acknowledged.
    bool record(int key, std::optional<std::string> value) {
        const std::uint64_t version = journal().record({key, std::move(value), 0});
        return version > std::exchange(last_version_, version);
    }
    void claim(std::size_t count) {
        for (auto& claimed : journal().claim(count, std::chrono::hours{1}, larder::Ttl{0})) {
            held_.insert_or_assign(claimed.change.key, std::move(claimed));
        }
    }
    void settle(std::vector<int> which) {
        std::vector<larder::Claimed<int, std::string>> claims;
        for (const int key : which) {
            claims.push_back(held_.at(key));
        }
        (void)journal().settle(claims);
    }
    static Step put(const char* name, int key, std::optional<std::string> value) {
        return {name, [key, value](JournalHistory& h) { h.record(key, value); }};
    }
    static std::vector<Step> make_steps() {
        using H = JournalHistory;
        const std::string large(20'000, 'x');
        std::vector<Step> all{
            {"open", [](H& h) { h.open(); }},
            put("record", 1, "one"),
            put("record another", 2, "two"),
            put("record a removal", 3, std::nullopt),
            put("record over it", 1, "one again"),
            {"claim", [](H& h) { h.claim(3); }},
            put("record over what is claimed", 2, "two again"),
            {"settle",
             [](H& h) {
                 h.settle({1, 2});
             },
             false},
            {"bury", [](H& h) { h.journal().bury(h.held_.at(3), "why"); }},
            put("record a large value", 4, large),
            {"record under a bound",
             [](H& h) {
                 (void)h.journal().record({5, std::string{"five"}, 0}, 10);
             }},
            {"record without room",
             [](H& h) {
                 (void)h.journal().record({6, std::string{"six"}, 0}, 2);
             }},
            {"claim more", [](H& h) { h.claim(10); }},
            {"defer", [](H& h) { h.journal().defer(h.held_.at(5), larder::Ttl{0}); }},
            {"bury a large one", [](H& h) { h.journal().bury(h.held_.at(4), "too large"); }},
            {"renew", [](H& h) { h.journal().renew({}, larder::Ttl{1}); }},
            {"revive", [](H& h) { h.journal().revive(4); }},
            put("record over a dead letter", 3, "three"),
            {"close and open",
             [](H& h) {
                 h.close();
                 h.open();
             }},
            {"claim anew", [](H& h) { h.claim(10); }},
            {"bury again", [](H& h) { h.journal().bury(h.held_.at(2), "no"); }},
            {"discard", [](H& h) { h.journal().discard(2); }},
            {"settle a large one",
             [](H& h) {
                 h.settle({4, 5});
             },
             false},
        };
        for (int key = 10; key < 20; ++key) {
            all.push_back(put("record many", key, std::string(700, 'y')));
        }
        all.push_back({"claim many", [](H& h) { h.claim(40); }});
        all.push_back({"settle many", [](H& h) { h.settle({10, 11, 12, 13, 14, 15, 16}); }, false});
        all.push_back(
            {"close", [](H& h) { h.close(); }, false});  // it cannot say that it has failed
        all.push_back({"open again", [](H& h) { h.open(); }});
        all.push_back(put("record at last", 1, std::nullopt));
        return all;
    }

    larder::ManualClock clock_{};
    std::unique_ptr<Journal> journal_{};
    std::map<int, larder::Claimed<int, std::string>> held_{};
    std::uint64_t last_version_ = 0;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_JOURNAL_HISTORY_HPP
