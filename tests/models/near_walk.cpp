// SPDX-License-Identifier: MIT

// The steps of readers, writers and a channel around one near slot, in every order that a seed brings,
// beside the rules of near.pml. What the model leaves out on purpose is left out here, too, and is seen.

#include "support/catch.hpp"
#include "support/every_order.hpp"
#include "support/watched_store.hpp"

#include <larder/detail/near/near_copies.hpp>
#include <larder/detail/near/near_lease.hpp>
#include <larder/larder.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder::Ttl;
using larder::detail::Finish;
using larder::detail::NearAsk;
using larder::detail::Slot;
using larder_test::Choices;

namespace {

using Near = larder::MemoryStore<int, int, larder::ManualClock>;
using Far = larder_test::WatchedStore<Near>;
using Copies = larder::detail::NearCopies<Near>;

constexpr int key = 7;
constexpr larder::Lifetime hour{1h};

/// What may be left out.
struct Rules {
    bool lease = true;          ///< near is filled only while its lease stands
    bool erase_first = true;    ///< near is erased before a write is acknowledged
    bool empty_after = true;    ///< near is emptied when the new subscription is active
    bool drop_passed = true;    ///< a read that passed near by drops what it has
    bool far_hits_only = true;  ///< a load fills no near
};

/// One key, its database, and one process whose near slot is looked at.
struct World {
    explicit World(Rules given) : rules{given} { copies.listen(far); }

    void check(bool holds, const std::string& what) {
        if (!holds && broken.empty()) {
            broken = what;
        }
    }
    [[nodiscard]] larder_test::Channel& channel() const { return far.channel(); }
    void drop(bool here) {
        if (here) {
            copies.drop(key);
        }
    }
    void acknowledge(bool here, int version) {
        acknowledged = (std::max)(acknowledged, version);
        own = here ? (std::max)(own, version) : own;
    }

    const Rules rules;
    larder::ManualClock clock{};
    Far far{Near{{}, clock}};
    Copies copies{Near{{}, clock}, larder::TieredStoreOptions{.ttl = 1h, .silence = 24h}};
    int row = 0;           // the database's version
    int acknowledged = 0;  // the newest that a write has returned with, anywhere
    int own = 0;           // the same here
    int bound = 0;         // what was acknowledged when the channel was last subscribed anew
    int seen = 0;          // the newest that a read here has returned
    bool outside = false;  // somebody writes past larder: then far itself may go back
    std::string broken{};
};

struct Actor {
    Actor() = default;
    Actor(const Actor&) = delete;
    Actor& operator=(const Actor&) = delete;
    virtual ~Actor() = default;
    /// Takes one step; false: there was none left.
    virtual bool step(World& world, Choices& choices) = 0;
};

struct Writer final : Actor {
    explicit Writer(bool is_here) : here{is_here} {}
    bool step(World& w, Choices&) override {
        switch (at++) {
            case 0:
                ticket = w.far.begin_write(key, Ttl{30s});
                w.drop(here && w.rules.erase_first);
                return true;
            case 1: mine = ++w.row; return true;
            case 2:
                w.far.finish_write(key, ticket, Finish::value, mine, {hour});
                if (!w.rules.erase_first) {
                    w.acknowledge(here, mine);
                }
                return true;
            case 3:
                w.drop(here);
                w.acknowledge(here, mine);
                return true;
            default: return false;
        }
    }
    const bool here;
    int at = 0;
    int mine = 0;
    larder::detail::Ticket ticket{};
};

struct Invalidator final : Actor {
    explicit Invalidator(bool is_here) : here{is_here} {}
    bool step(World& w, Choices&) override {
        switch (at++) {
            case 0: mine = ++w.row; return true;
            case 1: w.far.erase(key); return true;
            case 2:
                w.drop(here);
                w.acknowledge(here, mine);
                return true;
            default: return false;
        }
    }
    const bool here;
    int at = 0;
    int mine = 0;
};

/// Reads of the process that is looked at: one after the other, or elsewhere, where near does not matter.
struct Reader final : Actor {
    Reader(bool is_here, int reads) : here{is_here}, left{reads} {}

    bool step(World& w, Choices& choices) override {
        switch (next) {
            case Next::begin: return begin(w, choices);
            case Next::lease:
                lease.emplace(w.copies, the_key);
                lease->take();
                next = Next::ask;
                return true;
            case Next::ask: ask(w); return true;
            case Next::keep: keep(w); return true;
            case Next::open: open(w); return true;
            case Next::load:
                got = w.row;
                next = Next::fill;
                return true;
            case Next::fill: fill(w); return true;
            case Next::pass:
                if (w.rules.drop_passed) {
                    w.drop(here);
                }
                end(w);
                return true;
        }
        return false;
    }

private:
    enum class Next : std::uint8_t { begin, lease, ask, keep, open, load, fill, pass };

    bool begin(World& w, Choices& choices) {
        if (left-- == 0) {
            return false;
        }
        last = w.seen;
        const bool fresh = !here || choices.among(4) == 0;  // From::far
        began = fresh ? w.acknowledged : w.own;
        next = fresh ? Next::ask : Next::lease;
        if (!fresh && w.copies.look(
                          key, [&](const int* value, auto&&...) { got = *value; }, NearAsk{})) {
            w.check(got >= w.bound, "near serves what is older than the last subscription");
            end(w);
        }
        return true;
    }
    void ask(World& w) {
        copy = {};
        Far::Query query;
        bool hit = false;
        w.far.peek(
            key,
            [&](const int* value, larder::detail::Remaining remaining, Ttl life, bool) {
                copy.value = got = *value;
                copy.remaining = remaining;
                copy.life = life;
                hit = true;
            },
            query);
        next = !hit ? Next::open : lease && lease->held() ? Next::keep : Next::pass;
        if (!hit && w.rules.far_hits_only) {
            lease.reset();
        }
    }
    void keep(World& w) {
        if (w.rules.lease) {
            lease->fill(std::move(copy), Ttl{0});
        } else {
            w.copies.near().put(key, got, hour);
        }
        end(w);
    }
    void open(World& w) {
        auto opening = w.far.open(key);
        next = Next::load;
        if (opening.slot == Slot::hit) {
            got = *opening.copy->entry.value;
            next = Next::pass;
        } else if (opening.slot == Slot::lead) {
            leading.emplace(std::move(opening));
        }
    }
    void fill(World& w) {
        if (leading) {
            w.far.fill(key, leading->lease, got, {hour});
            leading.reset();
        }
        if (!w.rules.far_hits_only && lease && lease->held()) {
            lease->fill({got, 1h, Ttl{1h}, {}}, Ttl{0});
            end(w);
            return;
        }
        next = Next::pass;
    }
    void end(World& w) {
        lease.reset();
        w.check(got >= began, "a read is older than what was acknowledged before it began");
        if (here) {
            w.check(w.outside || got >= last, "reads go back");
            w.seen = (std::max)(w.seen, got);
        }
        next = Next::begin;
    }

    const bool here;
    const int the_key = key;
    int left;
    Next next = Next::begin;
    int began = 0;
    int last = 0;
    int got = 0;
    larder::detail::FarCopy<int> copy{};
    std::optional<larder::detail::NearLease<Near>> lease{};
    std::optional<larder::detail::Opening<int>> leading{};
};

/// Messages arrive, one at a time; the channel breaks, and is subscribed anew.
struct Line final : Actor {
    explicit Line(std::size_t one_in) : rarely{one_in} {}
    bool step(World& w, Choices& choices) override {
        if (!serving) {
            // A new subscription first, then near is emptied, and then served.
            const bool now = (at == 0) == w.rules.empty_after;
            now ? w.channel().reconnect() : w.copies.drop_all();
            w.bound = now ? w.acknowledged : w.bound;
            if (at++ == 1) {
                w.channel().trust();
                serving = true;
            }
            return true;
        }
        if (cut && choices.among(rarely / 2) == 0) {
            w.channel().notice();
            cut = serving = false;
            at = 0;
            return true;
        }
        if (!cut && cuts > 0 && choices.among(rarely) == 0) {
            w.channel().cut();
            --cuts;
            return cut = true;
        }
        if (w.channel().held() > 0) {
            w.channel().deliver(1);
            return true;
        }
        return cut;
    }
    const std::size_t rarely;
    int cuts = 1;
    bool cut = false;
    bool serving = true;
    int at = 0;
};

enum class Crowd : bool { few, many };

/// One run: a step of whoever the choices name, until nobody has one left.
std::string walk(Choices& choices, Rules rules, Crowd crowd) {
    World world{rules};
    world.channel().delay();
    std::vector<std::unique_ptr<Actor>> actors;
    actors.push_back(std::make_unique<Writer>(false));
    actors.push_back(std::make_unique<Reader>(true, crowd == Crowd::many ? 3 : 2));
    if (crowd == Crowd::many) {
        actors.push_back(std::make_unique<Writer>(true));
        actors.push_back(std::make_unique<Reader>(true, 3));
        actors.push_back(std::make_unique<Reader>(false, 2));
        world.outside = choices.among(2) == 0;
    }
    if (world.outside) {
        actors.push_back(std::make_unique<Invalidator>(choices.among(2) == 0));
    }
    world.far.put(key, 0, hour);
    actors.push_back(std::make_unique<Line>(crowd == Crowd::many ? 8 : 2));
    Actor* const line = actors.back().get();
    while (actors.size() > 1) {
        const std::size_t at = choices.among(actors.size());
        if (!actors[at]->step(world, choices) && actors[at].get() != line) {
            actors.erase(actors.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
    while (line->step(world, choices)) {}
    int held = world.row;
    world.copies.look(
        key, [&](const int* value, auto&&...) { held = *value; }, NearAsk{});
    world.check(held == world.row, "near keeps what is old although all was told");
    const auto in_hand = world.copies.near().in_hand();
    world.check(in_hand == larder::detail::InHand{}, "something is left in hand");
    return world.broken;
}

/// What the first run that breaks a promise breaks; empty if none does.
std::string first_broken(Rules rules, std::uint64_t runs, Crowd crowd = Crowd::many) {
    std::string broken;
    for (std::uint64_t i = 0; i < runs && broken.empty(); i += 100) {
        larder_test::some_orders(100, static_cast<std::uint32_t>(i + 1), [&](Choices& choices) {
            if (broken.empty()) {
                broken = walk(choices, rules, crowd);
                broken += broken.empty() ? "" : ": " + choices.text();
            }
        });
    }
    return broken;
}

}  // namespace

// Rules N1, N2, N3 and N4.
TEST_CASE("near copies keep their promises in any order of steps", "[near]") {
    CHECK(first_broken({}, 4'000) == "");
    CHECK(first_broken({}, 4'000, Crowd::few) == "");
    CHECK(first_broken({.far_hits_only = false}, 1'000) == "");  // FILLONLOAD: it would do as well
}

TEST_CASE("a rule that is left out is seen", "[near]") {
    CHECK(first_broken({.lease = false}, 100'000) != "");
    CHECK(first_broken({.erase_first = false}, 100'000) != "");
    CHECK(first_broken({.empty_after = false}, 100'000, Crowd::few) != "");
    CHECK(first_broken({.drop_passed = false}, 100'000) != "");
}
