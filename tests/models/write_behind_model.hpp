// SPDX-License-Identifier: MIT

/// @file
/// The transitions of write_behind.pml in C++, to be read beside it: TIMED and BURY, which hold. Written from
/// the model and not from the library, so that each checks the other.
///
/// A claim is no flag here but an id: it counts until another takes its place, its change is settled, put off
/// or buried, or has turned out not to be the newest.

#ifndef LARDER_TESTS_MODELS_WRITE_BEHIND_MODEL_HPP
#define LARDER_TESTS_MODELS_WRITE_BEHIND_MODEL_HPP

#include <cstdint>
#include <optional>

namespace larder_test {

/// The journal's part of one key, and its row in the database, with time as a counter.
class WriteBehindModel {
public:
    // The journal. Changes are numbered; 0: none.
    int pend = 0;
    std::uint64_t pver = 0;
    std::uint64_t claim = 0;
    std::size_t attempts = 0;
    int dead = 0;
    std::uint64_t dver = 0;
    long since = 0;             // pending, or anew, since then
    std::optional<long> due{};  // claimed once, and to be claimed again then

    // The database.
    int db = 0;
    std::uint64_t fence = 0;

    int recorded = 0;
    int excused = 0;  // changes up to this one were buried

    void record(int change, std::uint64_t version, long now) {
        recorded = change;
        arrive(now);
        pend = change;
        pver = version;
        attempts = 0;
        dead = 0;
        dver = 0;
    }

    [[nodiscard]] bool claimable(long now, long age) const {
        return pend != 0 && (due ? *due <= now : now - since >= age);
    }
    void claimed(std::uint64_t id, long until) {
        claim = id;
        due = until;
    }
    void renew(std::uint64_t id, long until) {
        if (mine(id)) {
            due = until;
        }
    }

    // One step of the database: it takes the change, unless it holds a newer version. False if it went back.
    bool save(int change, std::uint64_t version) {
        if (fence > version) {
            return true;
        }
        const bool forward = change >= db;
        db = change;
        fence = version;
        return forward;
    }

    bool settle(std::uint64_t id, std::uint64_t version, long now) {
        if (!newest(id, version, now)) {
            return false;
        }
        leave();
        return true;
    }
    void defer(std::uint64_t id, std::uint64_t version, std::size_t before, long now, long delay) {
        if (newest(id, version, now)) {
            due = now + delay;
            claim = 0;
            attempts = before + 1;
        }
    }
    bool bury(std::uint64_t id, std::uint64_t version, long now) {
        if (!newest(id, version, now)) {
            return false;
        }
        dead = pend;
        dver = pver;
        excused = dead;
        leave();
        return true;
    }

    // The Operator.
    bool revive(long now) {
        if (dead == 0) {
            return false;
        }
        arrive(now);
        pend = dead;
        pver = dver;
        attempts = 0;
        excused = 0;
        dead = 0;
        dver = 0;
        return true;
    }
    bool discard() {
        const bool there = dead != 0;
        dead = 0;
        dver = 0;
        return there;
    }

private:
    [[nodiscard]] bool mine(std::uint64_t id) const { return pend != 0 && id != 0 && claim == id; }

    // One that is recorded over a change that backs off does not wait for that one's next try.
    void arrive(long now) {
        const bool backs_off = due && claim == 0;
        if (pend == 0 || backs_off) {
            since = now;
            due.reset();
            claim = 0;
        }
    }
    void leave() {
        pend = 0;
        pver = 0;
        claim = 0;
        due.reset();
    }
    // Of a claim that counts. If it is not, the newer change begins to wait anew.
    bool newest(std::uint64_t id, std::uint64_t version, long now) {
        if (!mine(id)) {
            return false;
        }
        if (pver == version) {
            return true;
        }
        claim = 0;
        since = now;
        due.reset();
        return false;
    }
};

}  // namespace larder_test

#endif  // LARDER_TESTS_MODELS_WRITE_BEHIND_MODEL_HPP
