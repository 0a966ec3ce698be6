// SPDX-License-Identifier: MIT
//
// Readers, writers and invalidations of one key in every order of their steps, each with one thing going
// wrong: no read is older than what somebody has vouched for before it began, nobody is left waiting, and
// nothing is left in hand.
//
// A step is one call of the store, one load, one save or one wait that is over. A build without
// optimisation, or with sanitizers, takes some of the orders of each scenario at random. Those named
// "[.large]" are all taken by `tests/run.sh fleet`. LARDER_EVERY_ORDER=1 says how many there were.

#include "support/every_order.hpp"
#include "support/catch.hpp"
#include "support/order_actors.hpp"

#include <larder/clock.hpp>
#include <larder/store/coordinated.hpp>
#include <larder/store/memory.hpp>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <tuple>

using larder::ManualClock;
using larder::Ttl;
using larder::detail::AfterWrite;
using larder::detail::ReadKind;
using larder_test::Actor;
using larder_test::Choices;
using larder_test::Fate;
using larder_test::Flaw;
using larder_test::Once;
using larder_test::OrderWorld;
using larder_test::Outsider;
using larder_test::Reader;
using larder_test::Tasks;
using larder_test::the_key;
using larder_test::Writer;

namespace {

using Memory = larder::MemoryStore<int, int, ManualClock>;

/// Three functions, some of whose calls fail: before they have an effect, or after, the reply lost.
class FailingPlain {
public:
    using key_type = int;
    using value_type = int;

    struct State {
        std::optional<larder::Entry<int>> entry{};
        std::size_t calls = 0;
        std::size_t fails_at = 0;  // from 1 on
        std::size_t fails_for = 1;
        bool reply_lost = false;
    };

    explicit FailingPlain(std::shared_ptr<State> state) : state_{std::move(state)} {}

private:
    template <class Do>
    auto call(Do&& act) const {
        const std::size_t call = ++state_->calls;
        const bool fails = state_->fails_at != 0 && call >= state_->fails_at &&
                           call < state_->fails_at + state_->fails_for;
        if (fails && !state_->reply_lost) {
            throw larder::StoreError{larder::Errc::store_failed, "the request was lost"};
        }
        auto answer = act();
        if (fails) {
            throw larder::StoreError{larder::Errc::store_failed, "the reply was lost"};
        }
        return answer;
    }

public:
    std::optional<larder::Entry<int>> find(int) const {
        return call([this] { return state_->entry; });
    }
    void put(int, std::optional<int> value, larder::Lifetime life) const {
        call([&] { return state_->entry = larder::Entry<int>{value, life.fresh}; });
    }
    bool erase(int) const {
        return call([this] { return std::exchange(state_->entry, std::nullopt).has_value(); });
    }

private:
    std::shared_ptr<State> state_;
};
using Plain = larder::Coordinated<FailingPlain>;

/// Who takes part in a run, and what may go wrong with whom.
template <class Store>
class Cast {
public:
    explicit Cast(OrderWorld<Store>& world) : world_{world} {}

    /// @param may  the flaws of which it has one in some of the runs
    template <class A, class... Args>
    A& add(std::initializer_list<Flaw> may, Args&&... args) {
        auto made = std::make_unique<A>(world_, std::forward<Args>(args)...);
        A& actor = *made;
        actors_.push_back(std::move(made));
        for (const Flaw flaw : may) {
            for (std::size_t at = 0; at < (flaw == Flaw::dies ? 5 : 1); ++at) {
                flaws_.push_back({&actor, flaw, at});
            }
        }
        return actor;
    }
    void reader(std::initializer_list<Flaw> may = {}, ReadKind kind = ReadKind::miss) {
        add<Reader<Store>>(may, kind);
    }
    void writer(AfterWrite after, std::initializer_list<Flaw> may = {}) {
        add<Writer<Store>>(may, after);
    }
    template <class Say>
    void outsider(Say say) {
        add<Outsider<Store, Say>>({}, std::move(say));
    }
    template <class Do>
    void once(Do act) {
        add<Once<Store, Do>>({}, std::move(act));
    }
    /// One who reads through the executor.
    void impatient(Fate fate, std::initializer_list<Flaw> may = {},
                   ReadKind kind = ReadKind::miss) {
        Actor& reader = add<Reader<Store>>(may, kind, true);
        add<Tasks<Store>>({}, reader, fate);
    }

    /// Nothing goes wrong, or one of the flaws.
    void choose_flaw(Choices& choices) {
        const std::size_t which = choices.among(1 + flaws_.size());
        if (which > 0) {
            const auto [actor, flaw, at] = flaws_[which - 1];
            actor->flawed(flaw, at);
        }
    }

    /// @throws std::logic_error  somebody is left waiting
    void play(Choices& choices) {
        std::vector<Actor*> ready;
        for (;;) {
            ready.clear();
            bool all_done = true;
            for (const auto& actor : actors_) {
                all_done = all_done && actor->done();
                if (!actor->done() && actor->ready()) {
                    ready.push_back(actor.get());
                }
            }
            if (all_done) {
                return;
            }
            if (ready.empty()) {
                throw std::logic_error{"somebody is left waiting"};
            }
            ready[choices.among(ready.size())]->step();
        }
    }

private:
    struct MayFail {
        Actor* actor;
        Flaw flaw;
        std::size_t at;
    };

    OrderWorld<Store>& world_;
    std::vector<std::unique_ptr<Actor>> actors_{};
    std::vector<MayFail> flaws_{};
};

/// A read with nobody else about.
template <class Store>
void read_alone(OrderWorld<Store>& world) {
    Reader<Store> reader{world};
    while (!reader.done()) {
        if (!reader.ready()) {
            throw std::logic_error{"a read that is alone waits"};
        }
        reader.step();
    }
}

template <class Store>
void see_that_nothing_is_in_hand(const OrderWorld<Store>& world) {
    const auto in_hand = world.core.in_hand();
    if (in_hand.store.leases != 0 || in_hand.loads != 0 || in_hand.refreshes != 0) {
        throw std::logic_error{"something is left in hand"};
    }
}

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr bool takes_all = true;
#else
constexpr bool takes_all = false;
#endif

/// Explores a scenario.
///
/// @param make_world  makes a world, given the choices
/// @param make_cast   puts the actors into it
template <class MakeWorld, class MakeCast>
void explore(const std::string& name, MakeWorld&& make_world, MakeCast&& make_cast) {
    std::string wrong;
    const auto run = [&](Choices& choices) {
        if (!wrong.empty()) {
            return;  // no more choices: the rest is not explored
        }
        try {
            const auto world = make_world(choices);
            {
                Cast cast{*world};
                make_cast(cast);
                cast.choose_flaw(choices);
                cast.play(choices);
            }
            read_alone(*world);
            see_that_nothing_is_in_hand(*world);
        } catch (const std::exception& why) {
            wrong = std::string{why.what()} + ", in the order " + choices.text();
        }
    };
    const std::uint64_t orders =
        takes_all ? larder_test::every_order(run) : larder_test::some_orders(4'000, 1, run);
    INFO(name << ": " << wrong);
    CHECK(wrong.empty());
    if (std::getenv("LARDER_EVERY_ORDER") != nullptr) {
        std::cout << name << ": " << orders << " orders\n";
    }
}

enum class Slot : bool { empty, holds_a_copy };

/// A policy over a MemoryStore, of Tagged entries.
auto memory(Slot slot = Slot::empty, larder::Options options = {}) {
    return [slot, options](Choices&) {
        ManualClock clock;
        auto world = std::make_unique<OrderWorld<Memory>>(
            Memory{{.capacity = 4, .shards = 1}, clock}, options, clock);
        world->core.tags_of = [](int, const std::optional<int>&) { return larder::Tags{"t"}; };
        if (slot == Slot::holds_a_copy) {
            read_alone(*world);
            clock.advance(std::chrono::milliseconds{1});
        }
        return world;
    };
}

/// The same over a plain store, of whose first calls one fails, or two in turn.
auto failing(std::size_t calls, larder::OnStoreFailure on = larder::OnStoreFailure::proceed,
             Slot slot = Slot::empty) {
    return [calls, on, slot](Choices& choices) {
        auto state = std::make_shared<FailingPlain::State>();
        if (slot == Slot::holds_a_copy) {
            state->entry = larder::Entry<int>{1, std::chrono::minutes{1}};
        }
        larder::Options options;
        options.on_store_failure = on;
        auto world = std::make_unique<OrderWorld<Plain>>(Plain{FailingPlain{state}}, options);
        state->fails_at = choices.among(1 + calls);
        if (state->fails_at != 0) {
            state->reply_lost = choices.among(2) == 1;
            state->fails_for = 1 + choices.among(2);
        }
        return world;
    };
}

constexpr auto invalidates = [](auto& world) { world.core.store.erase(the_key); };
constexpr auto invalidates_tag = [](auto& world) {
    const std::string tag = "t";
    world.core.store.invalidate_tags(std::span<const std::string>{&tag, 1});
};
constexpr auto ends_tickets = [](auto& world) {
    world.clock.advance(world.core.options.ticket + Ttl{1});
};
constexpr auto changes_and_says_nothing = [](auto& world) { world.history().write_untold(); };

}  // namespace

// Rules S1, S2 and S3.
TEST_CASE("two readers and a writer, in every order, with one thing going wrong") {
    for (const AfterWrite after : {AfterWrite::drop, AfterWrite::replace}) {
        for (const Slot slot : {Slot::empty, Slot::holds_a_copy}) {
            explore("two readers, a writer", memory(slot), [&](auto& cast) {
                cast.reader({Flaw::load_throws, Flaw::not_kept, Flaw::gives_up, Flaw::dies});
                cast.reader();
                cast.writer(after, {Flaw::nothing_written, Flaw::unknown, Flaw::unknown_written,
                                    Flaw::unknown_late, Flaw::dies});
            });
        }
    }
}

// Rules S4 and T1.
TEST_CASE("two readers, a writer, an invalidation and a tag's, in every order") {
    explore("a reader, a writer, an invalidation", memory(Slot::holds_a_copy), [](auto& cast) {
        cast.reader({Flaw::load_throws, Flaw::dies});
        cast.writer(AfterWrite::replace, {Flaw::nothing_written, Flaw::unknown_late, Flaw::dies});
        cast.outsider(invalidates);
    });
    explore("two readers, an invalidation, a tag's", memory(), [](auto& cast) {
        cast.reader();
        cast.reader();
        cast.outsider(invalidates);
        cast.outsider(invalidates_tag);
    });
    explore("a reader, a writer, a tag's", memory(Slot::holds_a_copy), [](auto& cast) {
        cast.reader({Flaw::load_throws, Flaw::dies});
        cast.writer(AfterWrite::replace, {Flaw::nothing_written, Flaw::unknown_late, Flaw::dies});
        cast.outsider(invalidates_tag);
    });
}

TEST_CASE("a reader and two writers, in every order") {
    for (const AfterWrite after : {AfterWrite::drop, AfterWrite::replace}) {
        explore("a reader, two writers", memory(Slot::holds_a_copy), [&](auto& cast) {
            cast.reader();
            cast.writer(after, {Flaw::nothing_written, Flaw::unknown_late, Flaw::dies});
            cast.writer(AfterWrite::replace);
        });
    }
}

TEST_CASE("a refresh, a reader and a writer or an invalidation, in every order") {
    larder::Options options;
    options.refresh_below = 1.0;
    for (const AfterWrite after : {AfterWrite::drop, AfterWrite::replace}) {
        explore("a refresh, a reader, a writer", memory(Slot::holds_a_copy, options),
                [&](auto& cast) {
                    cast.reader({Flaw::load_throws, Flaw::dies}, ReadKind::refresh);
                    cast.reader();
                    cast.writer(after, {Flaw::unknown_written, Flaw::unknown_late, Flaw::dies});
                });
    }
    explore("a refresh, a reader, an invalidation, a tag's", memory(Slot::holds_a_copy, options),
            [](auto& cast) {
                cast.reader({Flaw::load_throws, Flaw::dies}, ReadKind::refresh);
                cast.reader();
                cast.outsider(invalidates);
                cast.outsider(invalidates_tag);
            });
}

// Rules S5 and S6.
TEST_CASE("a reload, a reader and an invalidation, in every order") {
    for (const Slot slot : {Slot::empty, Slot::holds_a_copy}) {
        explore("a reload, a reader, an invalidation", memory(slot), [](auto& cast) {
            cast.reader({Flaw::load_throws, Flaw::dies}, ReadKind::reload);
            cast.reader({Flaw::load_throws, Flaw::gives_up, Flaw::dies});
            cast.outsider(invalidates);
        });
        explore("a reload, a reader, a change", memory(slot), [](auto& cast) {
            cast.reader({Flaw::dies, Flaw::not_kept}, ReadKind::reload);
            cast.reader({Flaw::not_kept});
            cast.once(changes_and_says_nothing);
        });
    }
    explore("a reload, a writer, a change", memory(Slot::holds_a_copy), [](auto& cast) {
        cast.reader({Flaw::dies, Flaw::not_kept}, ReadKind::reload);
        cast.writer(AfterWrite::replace, {Flaw::dies});
        cast.once(changes_and_says_nothing);
    });
    explore("two reloads, a change", memory(Slot::holds_a_copy), [](auto& cast) {
        cast.reader({Flaw::dies}, ReadKind::reload);
        cast.reader({Flaw::dies}, ReadKind::reload);
        cast.once(changes_and_says_nothing);
    });
    explore("a reload, a reader, an invalidation, a change", memory(Slot::holds_a_copy),
            [](auto& cast) {
                cast.reader({}, ReadKind::reload);
                cast.reader();
                cast.once(invalidates);
                cast.once(changes_and_says_nothing);
            });
}

TEST_CASE("a read whose task is thrown away, in every order") {
    explore("an impatient reader, a writer", memory(), [](auto& cast) {
        cast.impatient(Fate::thrown_away, {Flaw::gives_up, Flaw::load_throws, Flaw::dies});
        cast.writer(AfterWrite::replace, {Flaw::unknown_late});
    });
}

// Rules S10 and S12.
TEST_CASE("a read that hands on what its task finds under way, in every order") {
    for (const ReadKind kind : {ReadKind::miss, ReadKind::reload}) {
        explore("an impatient reader, a reader, a writer", memory(), [&](auto& cast) {
            cast.impatient(Fate::run, {Flaw::gives_up, Flaw::dies}, kind);
            cast.reader({Flaw::load_throws, Flaw::gives_up, Flaw::dies});
            cast.writer(AfterWrite::replace);
        });
        explore("an impatient reader, a reader, an invalidation", memory(), [&](auto& cast) {
            cast.impatient(Fate::run, {}, kind);
            cast.reader({Flaw::load_throws, Flaw::not_kept, Flaw::dies});
            cast.outsider(invalidates);
        });
        explore("an impatient reader, a reader, a change, a store that fails", failing(4),
                [&](auto& cast) {
                    cast.impatient(Fate::run, {}, kind);
                    cast.reader({Flaw::load_throws});
                    cast.once(changes_and_says_nothing);
                });
    }
}

// Rule S8.
TEST_CASE("tickets that end before their writes, in every order") {
    explore("a reader, a writer, time", memory(), [](auto& cast) {
        cast.reader({Flaw::load_throws, Flaw::dies});
        cast.writer(AfterWrite::replace, {Flaw::nothing_written, Flaw::dies});
        cast.once(ends_tickets);
    });
    explore("a reader, two writers, time", memory(), [](auto& cast) {
        cast.reader();
        cast.writer(AfterWrite::replace);
        cast.writer(AfterWrite::replace);
        cast.once(ends_tickets);
    });
}

TEST_CASE("a store of which a call fails or a reply is lost, in every order") {
    for (const larder::OnStoreFailure on :
         {larder::OnStoreFailure::proceed, larder::OnStoreFailure::fail}) {
        for (const AfterWrite after : {AfterWrite::drop, AfterWrite::replace}) {
            explore("a reader, a writer, a store that fails", failing(6, on), [&](auto& cast) {
                cast.reader({Flaw::dies});
                cast.writer(after, {Flaw::nothing_written, Flaw::unknown_late, Flaw::dies});
            });
        }
        explore("a reader, a reload, a store that fails", failing(6, on), [](auto& cast) {
            cast.reader();
            cast.reader({}, ReadKind::reload);
        });
        explore("a reload, a reader, a change, a store that fails",
                failing(6, on, Slot::holds_a_copy), [](auto& cast) {
                    cast.reader({Flaw::not_kept}, ReadKind::reload);
                    cast.reader();
                    cast.once(changes_and_says_nothing);
                });
        explore("a reader, an invalidation, a store that fails", failing(6, on), [](auto& cast) {
            cast.reader({Flaw::dies});
            cast.outsider(invalidates);
        });
    }
}

TEST_CASE("more of them, in every order", "[.large]") {
    for (const AfterWrite after : {AfterWrite::drop, AfterWrite::replace}) {
        explore("a reader, two writers, an invalidation", memory(Slot::holds_a_copy),
                [&](auto& cast) {
                    cast.reader();
                    cast.writer(after, {Flaw::nothing_written, Flaw::unknown_late});
                    cast.writer(AfterWrite::replace);
                    cast.outsider(invalidates);
                });
        explore("two readers, a writer, an invalidation", memory(), [&](auto& cast) {
            cast.reader({Flaw::load_throws});
            cast.reader();
            cast.writer(after, {Flaw::unknown_late});
            cast.outsider(invalidates);
        });
        explore("two readers, a writer, time", memory(), [&](auto& cast) {
            cast.reader();
            cast.reader();
            cast.writer(after);
            cast.once(ends_tickets);
        });
        explore("two readers, a writer, a store that fails", failing(8), [&](auto& cast) {
            cast.reader();
            cast.reader();
            cast.writer(after);
        });
    }
    explore("an impatient reader, a reader, a writer", memory(), [](auto& cast) {
        cast.impatient(Fate::thrown_away, {Flaw::gives_up, Flaw::load_throws});
        cast.reader({Flaw::dies});
        cast.writer(AfterWrite::replace, {Flaw::unknown_late});
    });
    for (const ReadKind kind : {ReadKind::miss, ReadKind::reload}) {
        explore("an impatient reader, two readers, a writer", memory(), [&](auto& cast) {
            cast.impatient(Fate::run, {}, kind);
            cast.reader();
            cast.reader();
            cast.writer(AfterWrite::replace);
        });
    }
    explore("three readers, an invalidation", memory(), [](auto& cast) {
        cast.reader();
        cast.reader();
        cast.reader();
        cast.outsider(invalidates);
    });
}

TEST_CASE("a store that fills whatever became of the lease is found out") {
    struct Careless : Memory {
        using Memory::Memory;
        larder::detail::Filled fill(int key, const larder::detail::Lease&, std::optional<int> value,
                                    const larder::detail::CopyTerms& keeping) {
            this->put(key, value, keeping.life);
            return {.kept = true};
        }
    };
    std::string wrong;
    larder_test::every_order([&](Choices& choices) {
        if (!wrong.empty()) {
            return;
        }
        OrderWorld<Careless> world{Careless{{.capacity = 4, .shards = 1}, ManualClock{}}, {}};
        Cast cast{world};
        cast.reader();
        cast.reader();
        cast.outsider(invalidates);
        try {
            cast.play(choices);
        } catch (const std::logic_error& why) {
            wrong = why.what();
        }
    });
    CHECK(wrong == "read version 1, not one of 2 to 2");
}
