// SPDX-License-Identifier: MIT

/// @file
/// The transitions of tags.pml in C++, to be read beside it: what holds. Written from the model and not from
/// the library, so that each checks the other.
///
/// A version that was lost is written anew here as some moment from itself to the clock (the model writes the
/// clock, and refuses a little more than a library need): which one is learnt from the library's answers.

#ifndef LARDER_TESTS_MODELS_TAGS_MODEL_HPP
#define LARDER_TESTS_MODELS_TAGS_MODEL_HPP

#include <algorithm>
#include <cstdint>
#include <set>

namespace larder_test {

/// One key with one tag, the tag's version and the clock.
class TagsModel {
public:
    using Moment = std::uint64_t;
    enum class Kind { absent, value, loading, writing };

    Kind slot = Kind::absent;
    int val = 0;
    Moment epoch = 0;
    std::uint64_t lease = 0;
    std::set<std::uint64_t> tickets{};
    bool overlapped = false;
    Moment clock = 1;
    bool missing = true;  // the tag's version
    Moment least = 0;     // it is no earlier than this,
    Moment most = 0;      // and no later than this

    [[nodiscard]] bool valid(Moment e) const { return !missing && most <= e; }
    [[nodiscard]] bool hit() const { return slot == Kind::value && valid(epoch); }
    [[nodiscard]] bool leased() const { return lease != 0 && (slot == Kind::loading || hit()); }

    // An invalidation.
    void invalidate() {
        least = most = ++clock;
        missing = false;
    }

    // What the library makes of a value of this epoch; false if it cannot be so.
    bool learn(Moment e, bool stands) {
        renew_version();
        if (stands ? e < least : e >= most) {
            return false;
        }
        (stands ? most : least) = stands ? std::min(most, e) : std::max(least, e + 1);
        return true;
    }

    enum class Answer { hit, lead, join, bypass, nothing };

    // The Reader; `l` is the lease it would get.
    Answer open(std::uint64_t l) {
        if (hit()) {
            return Answer::hit;
        }
        if (slot == Kind::writing) {
            return Answer::bypass;
        }
        if (slot == Kind::loading) {
            return Answer::join;
        }
        to_absent();
        slot = Kind::loading;
        lease = l;
        return Answer::lead;
    }

    // The Refresher.
    Answer open_refresh(std::uint64_t l) {
        if (slot == Kind::writing) {
            return Answer::bypass;
        }
        if (!hit() || lease != 0) {
            return Answer::nothing;
        }
        lease = l;
        return Answer::lead;
    }

    struct Filled {
        bool kept;
        bool spoilt;
    };
    Filled fill(std::uint64_t l, int v, Moment e) {
        renew_version();
        const bool stands = lease == l;
        if (stands && valid(e)) {
            to_value(v, e);
        } else if (stands) {
            to_absent();
        }
        return {stands && valid(e), !valid(e)};
    }

    // The Writer.
    void begin_write(std::uint64_t me) {
        if (slot == Kind::writing) {
            overlapped = true;
        } else {
            to_absent();
            slot = Kind::writing;
        }
        tickets.insert(me);
    }
    void finish_write(std::uint64_t me, int v, Moment e) {
        renew_version();
        if (tickets.size() > 1) {
            tickets.erase(me);
        } else if (!overlapped && valid(e)) {
            to_value(v, e);
        } else {
            to_absent();
        }
    }

    // The World: eviction, a lease that is given back, a version that is lost while other tags are invalidated.
    void evict() {
        if (slot != Kind::writing) {
            to_absent();
        }
    }
    void release(std::uint64_t l) {
        if (lease != l) {
            return;
        }
        if (slot == Kind::loading) {
            to_absent();
        } else {
            lease = 0;
        }
    }
    void lose_version(int times) {
        missing = true;
        clock += static_cast<Moment>(times);
    }

private:
    void to_absent() {
        slot = Kind::absent;
        val = 0;
        epoch = 0;
        lease = 0;
        tickets.clear();
        overlapped = false;
    }
    void to_value(int v, Moment e) {
        to_absent();
        slot = Kind::value;
        val = v;
        epoch = e;
    }
    void renew_version() {
        if (missing) {
            missing = false;
            most = clock;
        }
    }
};

}  // namespace larder_test

#endif  // LARDER_TESTS_MODELS_TAGS_MODEL_HPP
