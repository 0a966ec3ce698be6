// SPDX-License-Identifier: MIT

/// @file
/// The transitions of coherence.pml in C++, to be read beside it: DEADLINES, FORCE and KEEP, which
/// hold. Written from the model and not from the library, so that each checks the other.

#ifndef LARDER_TESTS_MODELS_COHERENCE_MODEL_HPP
#define LARDER_TESTS_MODELS_COHERENCE_MODEL_HPP

#include <cstdint>
#include <map>
#include <optional>

namespace larder_test {

/// One slot of the model, with time as a counter.
class CoherenceModel {
public:
    enum class Kind { absent, value, loading, writing };

    Kind slot = Kind::absent;
    int val = 0;
    std::uint64_t lease = 0;
    std::map<std::uint64_t, long> tickets{};  // and the deadline of each
    bool overlapped = false;
    long fresh_until = 0;
    long gone_at = 0;

    // What the World does: values expire, and each ticket has a deadline of its own.
    void expire(long now) {
        if (slot == Kind::value && now >= gone_at) {
            to_absent();
        }
        if (slot == Kind::writing) {
            std::erase_if(tickets, [now](const auto& t) { return t.second <= now; });
            if (tickets.empty()) {
                to_absent();
            }
        }
    }
    // Eviction takes a value whenever it likes, and nothing else.
    void evict() {
        if (slot == Kind::value) {
            to_absent();
        }
    }

    void begin_write(std::uint64_t me, long deadline) {
        if (slot == Kind::writing) {
            overlapped = true;
        } else {
            to_absent();
            slot = Kind::writing;
        }
        tickets[me] = deadline;
    }

    void finish_write(std::uint64_t me, std::optional<int> v, long fresh, long gone) {
        if (slot != Kind::writing) {
            to_absent();
        } else if (!tickets.contains(me)) {
            overlapped = true;
        } else if (tickets.size() > 1) {
            tickets.erase(me);
        } else if (!overlapped && v) {
            to_value(*v, fresh, gone);
        } else {
            to_absent();
        }
    }

    [[nodiscard]] bool stands(std::uint64_t l) const {
        return l != 0 && lease == l && (slot == Kind::loading || slot == Kind::value);
    }

    bool fill(std::uint64_t l, int v, long fresh, long gone) {
        if (!stands(l)) {
            return false;
        }
        to_value(v, fresh, gone);
        return true;
    }

    void release(std::uint64_t l) {
        if (stands(l)) {
            if (slot == Kind::loading) {
                to_absent();
            } else {
                lease = 0;
            }
        }
    }

    void withdraw(std::uint64_t l) {
        if (stands(l)) {
            to_absent();
        }
    }

    void erase() {
        if (slot == Kind::writing) {
            overlapped = true;
        } else {
            to_absent();
        }
    }

    void put(int v, long fresh, long gone) {
        if (slot == Kind::writing) {
            overlapped = true;
        } else {
            to_value(v, fresh, gone);
        }
    }

    enum class Answer { hit, lead, join, bypass, nothing };

    // A reader; `l` is the lease it would get.
    Answer open(std::uint64_t l, long now) {
        switch (slot) {
            case Kind::writing: return Answer::bypass;
            case Kind::loading: return Answer::join;
            case Kind::absent:
                slot = Kind::loading;
                lease = l;
                return Answer::lead;
            case Kind::value: break;
        }
        if (now < fresh_until) {
            return Answer::hit;
        }
        if (lease != 0) {
            return Answer::join;
        }
        lease = l;
        return Answer::lead;
    }

    // The Refresher.
    Answer open_refresh(std::uint64_t l, long now) {
        if (slot == Kind::writing) {
            return Answer::bypass;
        }
        if (slot != Kind::value || now >= fresh_until || lease != 0) {
            return Answer::nothing;
        }
        lease = l;
        return Answer::lead;
    }

    // refresh(l, v) up to its load.
    Answer force_refresh(std::uint64_t l) {
        if (slot == Kind::writing) {
            overlapped = true;
            return Answer::bypass;
        }
        if (slot != Kind::value) {
            to_absent();
            slot = Kind::loading;
        }
        lease = l;
        return Answer::lead;
    }

private:
    void to_absent() {
        slot = Kind::absent;
        val = 0;
        lease = 0;
        tickets.clear();
        overlapped = false;
    }
    void to_value(int v, long fresh, long gone) {
        to_absent();
        slot = Kind::value;
        val = v;
        fresh_until = fresh;
        gone_at = gone;
    }
};

}  // namespace larder_test

#endif  // LARDER_TESTS_MODELS_COHERENCE_MODEL_HPP
