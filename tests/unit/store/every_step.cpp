// SPDX-License-Identifier: MIT

// Every step of every verb of the stores in this process fails: the first, the second, … until none
// is left, once or from then on. Whatever has failed, the table is sound, and nothing is in hand.

#include "support/catch.hpp"
#include "support/failing.hpp"
#include "support/failing_new.hpp"

#include <larder/clock.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/entry.hpp>
#include <larder/store/coordinated.hpp>
#include <larder/store/memory.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Lifetime;
using larder::Ttl;
using larder::detail::Finish;
using larder::detail::InHand;
using larder::detail::Lease;
using larder::detail::Ticket;
using larder_test::Failing;
using larder_test::Fault;

namespace {

using Key = larder_test::Brittle<true>;
using Firm = larder_test::Brittle<false>;  // moves do not fail
using Frail = larder_test::Brittle<true>;

constexpr Lifetime minute{60s, 30s};
constexpr int old_value = 1;
constexpr int new_value = 2;

// What is tried: a state, in which a verb is called, and what the caller does if it throws.
template <class Store>
struct Trial {
    using Value = typename Store::value_type;

    explicit Trial(Store of) : store{std::move(of)} {}

    Store store;
    Key key{7};
    Key other{8};
    std::vector<Key> keys{Key{7}, Key{8}, Key{9}};
    std::vector<std::pair<Key, std::optional<Value>>> pairs{};
    std::optional<Value> fresh = Value{new_value};
    larder::detail::Opening<Value> opening{};
    Ticket ticket{};
    Ticket second{};
    std::vector<Ticket> tickets{};
    std::function<void(Ttl)> advance{};
    bool done = false;    // the verb has returned,
    bool undone = false;  // or thrown, and is one that does all or nothing

    void old_copy() { store.put(key, Value{old_value}, minute); }
    void stale_copy() {
        old_copy();
        advance(61s);
    }
    bool fill() { return store.fill(key, opening.lease, std::move(fresh), {minute}).kept; }
    void finish_many() {
        std::vector<larder::detail::FinishRequest<Key, Value>> requests;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            requests.push_back({&keys[i],
                                tickets[i],
                                i == 1 ? Finish::nothing : Finish::value,
                                std::optional<Value>{Value{new_value}},
                                {minute}});
        }
        (void)larder::detail::finish_write_many(store, std::span{requests});
    }
    bool finish(Finish how = Finish::value) {
        return store.finish_write(key, ticket, how, std::move(fresh), {minute});
    }
};

// A verb by name, the state that it needs, and whether the old copy may still be served after it.
template <class Store>
struct Verb {
    enum class Old : bool { may_stay, must_go };

    std::string name;
    std::function<void(Trial<Store>&)> prepare;
    std::function<void(Trial<Store>&)> call;
    Old old = Old::may_stay;
};

template <class Store>
std::vector<Verb<Store>> verbs() {
    using T = Trial<Store>;
    using Old = typename Verb<Store>::Old;
    const auto nothing = [](T&) {};
    const auto old_copy = [](T& t) { t.old_copy(); };
    const auto stale_copy = [](T& t) { t.stale_copy(); };
    const auto loading = [](T& t) { t.opening = t.store.open(t.key); };
    const auto reloading = [](T& t) {
        t.stale_copy();
        t.opening = t.store.open(t.key);
    };
    const auto refreshing = [](T& t) {
        t.old_copy();
        t.opening = t.store.open_refresh(t.key, true);
    };
    const auto writing = [](T& t) {
        t.old_copy();
        t.ticket = t.store.begin_write(t.key, 30s);
    };
    const auto overlapped = [writing](T& t) {
        writing(t);
        t.second = t.store.begin_write(t.key, 30s);
        t.store.finish_write(t.key, t.second, Finish::nothing, {}, {});
    };
    const auto outlived = [writing](T& t) {
        writing(t);
        t.advance(30s);
        t.old_copy();
    };
    const auto open = [](T& t) { t.opening = t.store.open(t.key); };
    const auto put = [](T& t) { t.store.put(t.key, std::move(t.fresh), minute); };
    const auto put_many = [](T& t) { t.store.put_many(t.pairs, minute); };
    const auto fill = [](T& t) { t.fill(); };
    const auto fill_unkept = [](T& t) { t.store.fill(t.key, t.opening.lease, {}, {}); };
    const auto finish = [](T& t) { t.finish(); };
    const auto finish_nothing = [](T& t) { t.finish(Finish::nothing); };
    const auto begin = [](T& t) { t.ticket = t.store.begin_write(t.key, 30s); };
    const auto begin_many = [](T& t) { t.tickets = t.store.begin_write_many(t.keys, 30s); };
    return {
        {"find", old_copy, [](T& t) { (void)t.store.find(t.key); }},
        {"find_many", old_copy, [](T& t) { (void)t.store.find_many(t.keys); }},
        {"peek", old_copy, [](T& t) { t.store.peek(t.key, [](auto&&...) {}); }},
        {"put, new", nothing, put},
        {"put, over a copy", old_copy, put},
        {"put, over an expired copy",
         [](T& t) {
             t.old_copy();
             t.advance(90s);
         },
         put},
        {"put, while it is written", writing, put},
        {"put with no life", old_copy, [](T& t) { t.store.put(t.key, {}, {}); }},
        {"put_many", old_copy, put_many},
        {"erase", old_copy, [](T& t) { t.store.erase(t.key); }},
        {"erase, while it is loaded", reloading, [](T& t) { t.store.erase(t.key); }},
        {"erase, while it is written", writing, [](T& t) { t.store.erase(t.key); }},
        {"erase_many", old_copy, [](T& t) { t.store.erase_many(t.keys); }},
        {"underway", reloading, [](T& t) { (void)t.store.underway(t.key); }},
        {"open, absent", nothing, open},
        {"open, fresh", old_copy, open},
        {"open, stale", stale_copy, open},
        {"open, while it is loaded", reloading, [](T& t) { (void)t.store.open(t.key); }},
        {"open, while it is written", writing, open},
        {"open_many", old_copy, [](T& t) { (void)t.store.open_many(t.keys); }},
        {"open_refresh", old_copy, [](T& t) { t.opening = t.store.open_refresh(t.key, false); }},
        {"open_refresh by name", old_copy,
         [](T& t) { t.opening = t.store.open_refresh(t.key, true); }},
        {"fill, loading", loading, fill},
        {"fill, beside a stale copy", reloading, fill, Old::must_go},
        {"fill, beside a fresh copy", refreshing, fill, Old::must_go},
        {"fill of what is not kept", reloading, fill_unkept, Old::must_go},
        {"release", reloading, [](T& t) { t.store.release(t.key, t.opening.lease); }},
        {"withdraw", reloading, [](T& t) { t.store.withdraw(t.key, t.opening.lease); },
         Old::must_go},
        {"begin_write, absent", nothing, begin},
        {"begin_write, over a copy", old_copy, begin, Old::must_go},
        {"begin_write, while it is written",
         [writing](T& t) {
             writing(t);
             t.second = t.ticket;
         },
         begin},
        {"begin_write_many", old_copy, begin_many},
        {"finish_write", writing, finish},
        {"finish_write, overlapped", overlapped, finish},
        {"finish_write, its ticket is gone", outlived, finish, Old::must_go},
        {"finish_write with nothing", writing, finish_nothing},
        {"finish_write_many",
         [begin_many](T& t) {
             t.old_copy();
             begin_many(t);
         },
         [](T& t) { t.finish_many(); }, Old::must_go},
        {"finish_write_many, of which one is gone",
         [begin_many](T& t) {
             begin_many(t);
             t.store.finish_write(t.key, t.tickets[0], Finish::nothing, {}, {});
             t.old_copy();
         },
         [](T& t) { t.finish_many(); }, Old::must_go},
    };
}

// Calls a verb whose n-th step of a kind fails.
//
// @param judge  told of the trial once nothing runs any more
// @return false if there was no such step
template <class Store, class Make, class Judge>
bool fail(const Make& make, const Verb<Store>& verb, Fault fault, int nth, Failing::Times times,
          const Judge& judge) {
    INFO(verb.name << ", " << to_string(fault) << ' ' << nth
                   << (times == Failing::Times::once ? "" : " and after"));
    Trial<Store> trial = make();
    verb.prepare(trial);
    bool hit = false;
    bool threw = false;
    {
        const Failing failing{fault, nth, times};
        try {
            verb.call(trial);
            trial.done = true;
        } catch (...) {
            threw = true;
            trial.undone = verb.name != "put_many";
        }
        hit = failing.hit();
    }
    CHECK((hit || !threw));
    // What the caller of a verb does in the end.
    trial.opening = {};
    for (const Ticket& ticket : {trial.ticket, trial.second}) {
        if (ticket) {
            trial.store.finish_write(trial.key, ticket, Finish::nothing, {}, {});
        }
    }
    for (std::size_t i = 0; i < trial.tickets.size(); ++i) {
        trial.store.finish_write(trial.keys[i], trial.tickets[i], Finish::nothing, {}, {});
    }
    judge(trial, trial.done && verb.old == Verb<Store>::Old::must_go);
    return hit;
}

template <class Store, class Make, class Judge>
void fail_all(const Make& make, const Judge& judge) {
    for (const auto& verb : verbs<Store>()) {
        for (const Fault fault : larder_test::every_fault) {
            for (const auto times : {Failing::Times::once, Failing::Times::from_then_on}) {
                int nth = 1;
                while (fail(make, verb, fault, nth, times, judge)) {
                    ++nth;
                    REQUIRE(nth < 200);
                }
            }
        }
    }
}

template <class Value>
using Memory = larder::MemoryStore<Key, Value, larder_test::BrittleClock, larder_test::BrittleHash>;

// The store is full: a place is made by evicting others, of which some have expired.
template <class Value>
Trial<Memory<Value>> crowded() {
    larder::MemoryStoreOptions<Key, Value> options;
    options.capacity = 4;
    options.max_weight = 9;
    options.shards = 1;
    options.weigh = [](const Key&, const Value& value) {
        Failing::step(Fault::weigh);
        return static_cast<std::size_t>(value.number());
    };
    options.on_removal = [](const Key&, const Value& value, larder::RemovalCause) {
        CHECK((value.number() == old_value || value.number() == new_value));
        Failing::step(Fault::listener);
    };
    const larder_test::BrittleClock clock;
    Trial<Memory<Value>> trial{Memory<Value>{std::move(options), clock}};
    trial.advance = [manual = clock.manual](Ttl by) mutable { manual.advance(by); };
    for (int i = 0; i < 6; ++i) {
        trial.store.put(Key{100 + i}, Value{new_value}, {Ttl{50 + 1000 * i}});
        (void)trial.store.find(Key{100});
    }
    trial.advance(100ms);
    trial.pairs.emplace_back(Key{7}, Value{new_value});
    trial.pairs.emplace_back(Key{8}, Value{new_value});
    return trial;
}

template <class Value>
void judge_memory(Trial<Memory<Value>>& trial, bool old_is_gone) {
    auto& store = trial.store;
    CHECK(store.in_hand() == InHand{});
    const auto entry = store.find(trial.key);
    if (entry && entry->value) {
        const int number = entry->value->number();
        CHECK(((number == old_value && !old_is_gone) || (number == new_value && !trial.undone)));
    }
    CHECK(store.size() <= 4);
    CHECK(store.weight() <= 9);
    // It goes on.
    for (int i = 0; i < 8; ++i) {
        store.put(Key{200 + i}, Value{new_value}, minute);
        CHECK(store.size() <= 4);
    }
    CHECK(store.find(Key{207}));
    std::size_t weight = 0;
    for (int i = 0; i < 300; ++i) {
        if (const auto held = store.find(Key{i}); held && held->value) {
            weight += static_cast<std::size_t>(held->value->number());
        }
    }
    CHECK(store.weight() == weight);
    for (int i = 0; i < 300; ++i) {
        store.erase(Key{i});
    }
    CHECK(store.size() == 0);
    CHECK(store.weight() == 0);
}

// A user's store, whose operations fail before or after they have done what they do.
class Plain {
public:
    using key_type = Key;
    using value_type = Firm;

    [[nodiscard]] const larder_test::BrittleClock& clock() const { return state_->clock; }

    std::optional<larder::Entry<Firm>> find(const Key& key) const {
        const Step step;
        const std::scoped_lock lock{state_->mutex};
        const auto at = state_->entries.find(key.number());
        const auto now = clock().manual.now();
        if (at == state_->entries.end() || now >= at->second.gone_at) {
            return {};
        }
        return larder::Entry<Firm>{Firm{at->second.number},
                                   std::chrono::ceil<Ttl>(at->second.stale_at - now)};
    }
    void put(const Key& key, std::optional<Firm> value, Lifetime life) {
        Step step;
        {
            const std::scoped_lock lock{state_->mutex};
            const auto stale_at = clock().manual.now() + life.fresh;
            state_->entries[key.number()] = {value->number(), stale_at, stale_at + life.grace};
        }
        step.done();
    }
    bool erase(const Key& key) {
        Step step;
        bool had = false;
        {
            const std::scoped_lock lock{state_->mutex};
            had = state_->entries.erase(key.number()) > 0;
        }
        step.done();
        return had;
    }
    void clear() {
        const std::scoped_lock lock{state_->mutex};
        state_->entries.clear();
    }

private:
    struct Step {
        Step() { Failing::step(Fault::store); }
        void done() { Failing::step(Fault::store); }
    };
    struct Held {
        int number;
        std::chrono::steady_clock::time_point stale_at;
        std::chrono::steady_clock::time_point gone_at;
    };
    struct State {
        std::mutex mutex{};
        std::map<int, Held> entries{};
        larder_test::BrittleClock clock{};
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

// One that takes many at once, and may fail between them.
class PlainBatches : public Plain {
public:
    std::vector<std::optional<larder::Entry<Firm>>> find_many(std::span<const Key> keys) const {
        std::vector<std::optional<larder::Entry<Firm>>> entries;
        for (const Key& key : keys) {
            entries.push_back(find(key));
        }
        return entries;
    }
    void put_many(std::span<const std::pair<Key, std::optional<Firm>>> pairs, Lifetime life) {
        for (const auto& [key, value] : pairs) {
            put(key, value, life);
        }
    }
    std::size_t erase_many(std::span<const Key> keys) {
        std::size_t had = 0;
        for (const Key& key : keys) {
            had += erase(key) ? 1U : 0U;
        }
        return had;
    }
};

using Coordinated = larder::Coordinated<Plain>;
using CoordinatedBatches = larder::Coordinated<PlainBatches>;

template <class P = Plain>
Trial<larder::Coordinated<P>> coordinated() {
    const P plain;
    Trial<larder::Coordinated<P>> trial{larder::Coordinated{plain}};
    trial.advance = [manual = plain.clock().manual](Ttl by) mutable { manual.advance(by); };
    trial.pairs.emplace_back(Key{7}, Firm{new_value});
    trial.pairs.emplace_back(Key{8}, Firm{new_value});
    return trial;
}

// True once what the plain store has missed was told.
template <class Store>
bool told(const Store& store) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (store.queued_invalidations() != 0) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

template <class Store>
void judge_coordinated(Trial<Store>& trial, bool old_is_gone) {
    CHECK(trial.store.in_hand() == InHand{});
    const auto served = [&] {
        const auto entry = trial.store.find(trial.key);
        return entry && entry->value ? entry->value->number() : 0;
    };
    CHECK((!old_is_gone || served() != old_value));
    CHECK((!trial.undone || served() != new_value));
    CHECK(told(trial.store));
    CHECK((!old_is_gone || served() != old_value));
    CHECK(trial.store.open(trial.key).slot != larder::detail::Slot::bypass);
    trial.store.put(trial.key, Firm{new_value}, minute);
    CHECK(served() == new_value);
}

}  // namespace

TEST_CASE("a MemoryStore of which any step fails", "[steps][memory_store]") {
    SECTION("values that move") {
        fail_all<Memory<Firm>>(crowded<Firm>, judge_memory<Firm>);
    }
    SECTION("values that may fail to") {
        fail_all<Memory<Frail>>(crowded<Frail>, judge_memory<Frail>);
    }
}

TEST_CASE("a plain store's coordinator of which any step fails", "[steps][coordinated]") {
    SECTION("one by one") {
        fail_all<Coordinated>(coordinated<Plain>, judge_coordinated<Coordinated>);
    }
    SECTION("many at once") {
        fail_all<CoordinatedBatches>(coordinated<PlainBatches>,
                                     judge_coordinated<CoordinatedBatches>);
    }
}

TEST_CASE("a fill that fails leaves no older copy", "[steps][memory_store]") {
    for (const Fault fault : {Fault::allocation, Fault::weigh}) {
        auto trial = crowded<Firm>();
        trial.stale_copy();
        trial.opening = trial.store.open(trial.key);
        const std::vector<std::string> tags{"a tag too long to be kept in place without memory"};
        larder::detail::CopyTerms terms{minute, tags};
        {
            const Failing failing{fault, 1, Failing::Times::from_then_on};
            CHECK_THROWS(trial.store.fill(trial.key, trial.opening.lease, std::move(trial.fresh),
                                          std::move(terms)));
        }
        CHECK_FALSE(trial.store.find(trial.key));
        CHECK(trial.store.in_hand() == InHand{});
    }
}

TEST_CASE("what a listener throws concerns nobody, and a clear that fails has not begun",
          "[steps][memory_store]") {
    for (const Fault fault : larder_test::every_fault) {
        auto trial = crowded<Frail>();
        trial.old_copy();
        const Failing failing{fault, 1, Failing::Times::from_then_on};
        CHECK_NOTHROW(trial.store.clear());
        CHECK(trial.store.size() == 0);
        CHECK(trial.store.weight() == 0);
    }
}

TEST_CASE("a drop that must not be lost is not lost", "[steps][coordinated]") {
    for (const Fault fault : larder_test::every_fault) {
        for (int nth = 1; nth < 20; ++nth) {
            auto trial = coordinated();
            trial.old_copy();
            {
                const Failing failing{fault, nth, Failing::Times::from_then_on};
                bool queued = false;
                CHECK_NOTHROW(queued = trial.store.queue_invalidation(trial.key, 0,
                                                                      {.hold = 1h, .force = true}));
                CHECK(queued);
            }
            CHECK_FALSE(trial.store.find(trial.key));
            trial.advance(1h);
            judge_coordinated(trial, true);
        }
    }
}
