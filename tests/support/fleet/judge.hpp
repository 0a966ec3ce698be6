// SPDX-License-Identifier: MIT

/// @file
/// Judges what a fleet has logged against what its database has committed.

#ifndef LARDER_TESTS_SUPPORT_FLEET_JUDGE_HPP
#define LARDER_TESTS_SUPPORT_FLEET_JUDGE_HPP

#include "support/fleet/moment.hpp"
#include "support/fleet/operation_log.hpp"
#include "support/history.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

/// What may be held against a fleet.
struct Promise {
    /// Strict: reads and writes through the policy are linearizable. Loose, where tickets get lost:
    /// nothing acknowledged is hidden; a write in flight may be seen and then not seen until it
    /// returns, or for `life` after its writer died.
    ///
    /// A write past the policy is always loose: until its invalidation nobody was told of it.
    History::Flight flight = History::Flight::strict;

    /// ttl + grace: how long a copy lives.
    std::chrono::milliseconds life{0};

    /// What passes between a load's read of the row and its fill, at most, apart from what the
    /// longest read or load of the log has taken.
    std::chrono::milliseconds slack{250};
};

struct Verdict {
    std::vector<std::string> wrong{};
    std::vector<std::string> failures{};  ///< processes that ended as none should
    std::string story{};                  ///< all that was done to the first key of `wrong`
    std::size_t reads = 0;
    std::size_t writes = 0;      ///< acknowledged
    std::size_t unreturned = 0;  ///< committed, but their caller was killed or told otherwise
    std::size_t killed = 0;
    Moment longest_write = 0;
};

/// What was done to one key, a line an operation, in microseconds since the first.
inline std::string story(const std::vector<Logged>& log,
                         const std::map<std::size_t, const Commit*>& committed, int key) {
    static constexpr std::array<const char*, 4> kinds{"read", "write", "past", "load"};
    static constexpr std::array<const char*, 4> states{"unused", "never ended", "threw", ""};
    std::vector<std::pair<const Logged*, const Commit*>> mine;
    for (std::size_t number = 0; number < log.size(); ++number) {
        if (log[number].key == key && log[number].state != Logged::State::unused) {
            const auto at = committed.find(number);
            mine.emplace_back(&log[number], at == committed.end() ? nullptr : at->second);
        }
    }
    std::stable_sort(mine.begin(), mine.end(),
                     [](const auto& a, const auto& b) { return a.first->began < b.first->began; });
    std::string text;
    const auto since = [&](Moment at) {
        return std::to_string((at - mine.front().first->began) / 1000);
    };
    for (const auto& [o, commit] : mine) {
        const bool reads = o->kind == Logged::Kind::read || o->kind == Logged::Kind::load;
        const int version = commit != nullptr ? commit->version : o->version;
        text += "[" + since(o->began) + ", " +
                (o->state == Logged::State::begun ? "" : since(o->ended)) + "] life " +
                std::to_string(o->life) + " " + kinds.at(static_cast<std::size_t>(o->kind)) + " " +
                (version == Logged::nothing   ? "nothing"
                 : reads || commit != nullptr ? std::to_string(version)
                                              : "uncommitted") +
                (commit != nullptr && !commit->is_there ? " removed " : " ") +
                states.at(static_cast<std::size_t>(o->state)) + "\n";
    }
    return text;
}

/// @param deaths  when each life had ended
inline Verdict judge(const std::vector<Logged>& log, const std::vector<Commit>& commits,
                     const std::map<unsigned, Moment>& deaths, const Promise& promise) {
    using Kind = History::Kind;
    using State = Logged::State;
    std::map<std::size_t, const Commit*> committed;
    for (const Commit& c : commits) {
        committed[c.operation] = &c;
    }
    const auto end_of = [&](const Logged& o) {
        return o.state != State::begun   ? o.ended
               : deaths.contains(o.life) ? deaths.at(o.life)
                                         : History::never;
    };
    Verdict verdict;
    Moment longest_read = 0;
    for (const Logged& o : log) {
        if (o.state != State::unused) {
            const bool reads = o.kind == Logged::Kind::read || o.kind == Logged::Kind::load;
            Moment& longest = reads ? longest_read : verdict.longest_write;
            longest = (std::max)(longest, end_of(o) - o.began);
        }
    }
    const Moment copies_live = moments(promise.life + promise.slack) + longest_read;

    std::map<int, std::vector<History::Operation>> histories;
    for (std::size_t number = 0; number < log.size(); ++number) {
        const Logged& o = log[number];
        if (o.state == State::unused || o.kind == Logged::Kind::load) {
            continue;
        }
        if (o.kind == Logged::Kind::read) {
            if (o.state == State::done) {
                ++verdict.reads;
                const bool nothing = o.version == Logged::nothing;
                histories[o.key].push_back(
                    {Kind::read, nothing ? 0 : o.version, o.began, o.ended,
                     nothing ? History::Holds::nothing : History::Holds::value,
                     History::Flight::strict});
            }
            continue;
        }
        const auto at = committed.find(number);
        if (at == committed.end()) {
            if (o.state == State::done) {
                verdict.wrong.push_back("key " + std::to_string(o.key) +
                                        ": acknowledged, but never committed");
            }
            continue;
        }
        const auto flight = o.kind == Logged::Kind::past ? History::Flight::loose : promise.flight;
        Moment ended = o.ended;
        if (o.state != State::done) {
            const Moment end = end_of(o);
            ended = flight == History::Flight::loose && end != History::never ? end + copies_live
                                                                              : History::never;
        }
        ++(o.state == State::done ? verdict.writes : verdict.unreturned);
        histories[o.key].push_back(
            {Kind::write, at->second->version, o.began, ended,
             at->second->is_there ? History::Holds::value : History::Holds::nothing, flight});
    }
    for (auto& [key, history] : histories) {
        for (const std::string& what : History::unexplained(std::move(history))) {
            if (verdict.story.empty()) {
                verdict.story = story(log, committed, key);
            }
            verdict.wrong.push_back("key " + std::to_string(key) + ": " + what);
        }
    }
    return verdict;
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_JUDGE_HPP
