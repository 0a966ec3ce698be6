// SPDX-License-Identifier: MIT

/// @file
/// A string of bytes as calls of a MemoryStore, each answer compared with a model's.

#ifndef LARDER_TESTS_FUZZ_MEMORY_GAME_HPP
#define LARDER_TESTS_FUZZ_MEMORY_GAME_HPP

#include "fuzz/memory_model.hpp"
#include "support/failing.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

/// The bytes that are played; nothing but zeros once they are over.
class Bytes {
public:
    Bytes(const std::uint8_t* data, std::size_t size) : at_{data}, end_{data + size} {}
    [[nodiscard]] bool over() const { return at_ == end_; }
    unsigned next() { return over() ? 0U : *at_++; }

private:
    const std::uint8_t* at_;
    const std::uint8_t* end_;
};

/// One store and its model. `Kind` says what keys and values are: `Store`, `Clock`, `key(number)`,
/// `value(id)`, `number(key)`, `id(value)`, none of which may fail; whether moves of values do, and whether
/// what was used least recently goes first.
///
/// Each value is used once, so that each that went in must come out once: by `on_removal`.
template <class Kind>
class MemoryGame {
    using Store = typename Kind::Store;
    using K = typename Store::key_type;
    using V = typename Store::value_type;
    using Model = MemoryModel;
    using Effect = Model::Effect;
    using Held = Model::Held;
    using Slot = larder::detail::Slot;
    using Finish = larder::detail::Finish;
    using Cause = larder::RemovalCause;
    using Lifetime = larder::Lifetime;
    using Ttl = larder::Ttl;

public:
    explicit MemoryGame(Bytes& bytes) : bytes_{bytes}, store_{options(), Kind::clock(clock_)} {
        gone_.reserve(4096);  // noting what goes must not fail
    }

    void play() {
        model_.now = clock_.now();
        for (int i = 0; i < 4'000 && !bytes_.over(); ++i) {
            step();
            bounds();
        }
        end();
    }

private:
    struct Gone {
        int key;
        int value;
        Cause cause;
    };
    struct Loan {  // a lease
        int key;
        std::uint64_t mine;
        std::uint64_t since;
        larder::detail::Opening<V> opening;
    };
    struct Writer {
        int key;
        std::uint64_t mine;
        std::uint64_t since;
        larder::detail::Ticket theirs;
    };

    // ---- what is played ----

    larder::MemoryStoreOptions<K, V> options() {
        const unsigned sizes = bytes_.next();
        const unsigned more = bytes_.next();
        static constexpr std::array<std::size_t, 8> capacities{1, 2, 3, 5, 8, 16, 40, 100};
        static constexpr std::array<std::size_t, 4> shards{1, 2, 4, 0};
        static constexpr std::array<int, 4> universes{4, 16, 64, 250};
        larder::MemoryStoreOptions<K, V> options;
        capacity_ = capacities[sizes & 7U];
        options.capacity = capacity_;
        options.shards = Kind::in_order ? 1 : shards[sizes >> 3U & 3U];
        universe_ = universes[sizes >> 5U & 3U];
        if ((more & 1U) != 0) {
            weighed_ = true;
            model_.max_weight = 1 + 2 * capacity_;
            options.max_weight = model_.max_weight;
            options.weigh = [](const K&, const V& value) {
                Failing::step(Fault::weigh);
                return weight_of(Kind::id(value));
            };
        }
        options.on_removal = [this](const K& key, const V& value, Cause cause) {
            gone_.push_back({Kind::number(key), Kind::id(value), cause});
            Failing::step(Fault::listener);
        };
        return options;
    }

    void step() {
        const unsigned what = bytes_.next();
        fault_.reset();
        if ((what & 0xe0U) == 0xe0U) {
            const unsigned how = bytes_.next();
            static constexpr std::array faults{Fault::allocation, Fault::copy,       Fault::move,
                                               Fault::hash,       Fault::comparison, Fault::weigh,
                                               Fault::clock,      Fault::listener};
            fault_ = {faults[how & 7U], static_cast<int>(1 + (how >> 3U) % 12)};
        }
        switch (what % 22) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4: put(key()); break;
            case 5:
            case 6: find(key()); break;
            case 7: visit(key()); break;
            case 8: peek(key()); break;
            case 9: erase(key()); break;
            case 10: what % 5 == 0 ? clear() : find(key()); break;
            case 11: advance(); break;
            case 12:
            case 13: open(key()); break;
            case 14: refresh(key()); break;
            case 15:
            case 16: fill(); break;
            case 17: let_go(); break;
            case 18: begin_write(key()); break;
            case 19: finish_write(); break;
            case 20: invalidate(); break;
            default: burst(); break;
        }
    }

    int key() { return static_cast<int>(bytes_.next()) % universe_; }
    std::optional<int> value() {
        return bytes_.next() % 6 == 0 ? std::nullopt : std::optional{++values_};
    }
    Lifetime life() {
        static constexpr std::array<Ttl, 8> lives{Ttl{0},   Ttl{1},      Ttl{7},      Ttl{50},
                                                  Ttl{300}, Ttl{60'000}, Ttl{60'000}, (Ttl::max)()};
        static constexpr std::array<Ttl, 4> graces{Ttl{0}, Ttl{0}, Ttl{20}, (Ttl::max)()};
        const unsigned which = bytes_.next();
        return {lives[which & 7U], graces[which >> 3U & 3U]};
    }
    void advance() {
        static constexpr std::array<std::chrono::microseconds, 8> steps{
            std::chrono::microseconds{1},       std::chrono::microseconds{999},
            std::chrono::microseconds{1'000},   std::chrono::microseconds{6'000},
            std::chrono::microseconds{20'000},  std::chrono::microseconds{50'000},
            std::chrono::microseconds{400'000}, std::chrono::microseconds{70'000'000}};
        clock_.advance(steps[bytes_.next() & 7U]);
        model_.now = clock_.now();
    }
    // More keys than there is room for.
    void burst() {
        const int from = key();
        for (int i = static_cast<int>(bytes_.next() % 64); i >= 0; --i) {
            put((from + i) % universe_);
        }
    }

    void put(int k) {
        resolve(k);
        const std::optional<int> id = value();
        const Lifetime terms = life();
        std::optional<V> theirs = given(id);
        const K name = Kind::key(k);
        begin("put", k);
        const bool done = tried([&] { store_.put(name, std::move(theirs), terms); });
        Model::Key& at = model_.touch(k);
        if (!done) {
            settle(k, {}, {}, true);
            return compare(k);
        }
        if (terms.fresh <= Ttl::zero()) {
            at.state.erase();
            return settle(k, Cause::erased, {});
        }
        const auto effect = Model::change(
            at, fits(id), [](const Model::State& state) { return !state.writing(); },
            [](Model::State& state) { return state.put(); });
        settle(k, effect, model_.copy(id, terms, 0, 0, weight_of(id)));
    }

    void find(int k) {
        resolve(k);
        const K name = Kind::key(k);
        begin("find", k);
        std::optional<larder::Entry<V>> entry;
        const bool done = tried([&] { entry = store_.find(name); });
        settle(k, Effect::keep);
        if (done) {
            looked(k, entry);
        }
    }
    void visit(int k) {
        resolve(k);
        const K name = Kind::key(k);
        begin("visit", k);
        std::optional<int> seen;
        bool any = false;
        const bool done =
            tried([&] { any = store_.visit(name, [&](const V& v) { seen = Kind::id(v); }); });
        settle(k, Effect::keep);
        Model::Key& at = model_[k];
        const Held held = model_.held(at);
        if (done) {
            counted(at, held);
            const bool shown = held == Held::fresh && at.copy->value;
            expect(any == shown && seen == (shown ? at.copy->value : std::nullopt), "visit");
        }
    }
    void peek(int k) {
        resolve(k);
        const K name = Kind::key(k);
        begin("peek", k);
        bool any = false;
        bool right = true;
        Model::Key& at = model_[k];
        const Held held = model_.held(at);
        const bool done = tried([&] {
            any = store_.peek(name, [&](const V* value, auto remaining, Ttl life, bool refreshing) {
                right = held != Held::nothing && (value != nullptr) == at.copy->value.has_value() &&
                        (value == nullptr || Kind::id(*value) == *at.copy->value) &&
                        (remaining > remaining.zero()) == (held == Held::fresh) &&
                        (life == at.copy->life || at.copy->life == (Ttl::max)()) &&
                        refreshing == at.state.refreshing();
            });
        });
        settle(k, Effect::keep);
        if (done) {
            counted(at, held);
            expect(any == (held != Held::nothing) && right, "peek");
        }
    }
    void erase(int k) {
        resolve(k);
        const K name = Kind::key(k);
        begin("erase", k);
        const bool had = model_.held(model_[k]) != Held::nothing;
        bool did = false;
        const bool done = tried([&] { did = store_.erase(name); });
        if (!done) {
            calmly([&] { store_.erase(name); });
        }
        expect(!done || did == had, "erase");
        model_.touch(k).state.erase();
        settle(k, Cause::erased, {});
    }
    void clear() {
        begin("clear", -1);
        if (!tried([&] { store_.clear(); })) {
            calmly([&] { store_.clear(); });
        }
        for (const Gone& gone : gone_) {
            const Model::Key& at = left(gone);
            expect(gone.cause == Cause::cleared ||
                       (gone.cause == Cause::expired && !model_.live(*at.copy)),
                   "clear: cause");
            model_[gone.key].copy.reset();
        }
        gone_.clear();
        for (auto& [k, at] : model_.keys()) {
            expect(!at.copy || !at.copy->value, "clear: a value is not reported");
            at.copy.reset();
            at.place = false;
            at.state.erase();
        }
        expect(store_.size() == 0 && store_.weight() == 0, "clear: not empty");
    }

    // ---- the slot protocol ----

    void open(int k) {
        resolve(k);
        const K name = Kind::key(k);
        begin("open", k);
        larder::detail::Opening<V> theirs;
        const bool done = tried([&] { theirs = store_.open(name); });
        Model::Key& at = model_.touch(k);
        settle(k, Effect::keep);
        if (!done) {
            return start_over(k);
        }
        const Held held = model_.held(at);
        const std::uint64_t id = ++ids_;
        const Slot mine = at.state.open(held, id);
        expect(theirs.slot == mine, "open");
        expect(theirs.copy.has_value() == (held != Held::nothing), "open: copy");
        if (theirs.copy) {
            same(k, theirs.copy->entry);
        }
        opened(k, id, std::move(theirs));
    }
    void refresh(int k) {
        resolve(k);
        const K name = Kind::key(k);
        const bool force = bytes_.next() % 2 == 0;
        begin("open_refresh", k);
        larder::detail::Opening<V> theirs;
        const bool done = tried([&] { theirs = store_.open_refresh(name, force); });
        Model::Key& at = model_.touch(k);
        settle(k, Effect::keep);
        if (!done) {
            return start_over(k);
        }
        const Held held = model_.held(at);
        const std::uint64_t id = ++ids_;
        const Slot mine =
            force ? at.state.force_refresh(held, id) : at.state.open_refresh(held, id);
        expect(theirs.slot == mine, "open_refresh");
        opened(k, id, std::move(theirs));
    }
    void opened(int k, std::uint64_t id, larder::detail::Opening<V> theirs) {
        expect(theirs.slot != Slot::join || theirs.flight != nullptr, "a join without a flight");
        if (theirs.slot != Slot::lead) {
            return;
        }
        if (loans_.size() >= 6) {
            let_go(0);  // a lease ends with its holder
        }
        loans_.push_back({k, id, model_.tick(), std::move(theirs)});
    }
    void let_go(std::size_t index) {
        model_[loans_[index].key].state.release(loans_[index].mine);
        loans_.erase(loans_.begin() + static_cast<std::ptrdiff_t>(index));
    }

    void fill() {
        if (loans_.empty()) {
            return find(key());
        }
        const std::size_t index = bytes_.next() % loans_.size();
        const int k = loans_[index].key;
        resolve(k);
        const std::optional<int> id = value();
        const Lifetime terms = life();
        const unsigned carried = bytes_.next() & 7U;
        std::optional<V> theirs = given(id);
        larder::detail::CopyTerms with{terms, names(carried)};
        const K name = Kind::key(k);
        const std::uint64_t lease = loans_[index].mine;
        const std::uint64_t since = loans_[index].since;
        begin("fill", k);
        larder::detail::Filled filled;
        const bool done = tried([&] {
            filled =
                store_.fill(name, loans_[index].opening.lease, std::move(theirs), std::move(with));
        });
        Model::Key& at = model_.touch(k);
        if (!done) {  // it is withdrawn, if it was called at all
            call_again([&] { store_.withdraw(name, loans_[index].opening.lease); });
            const Effect effect = at.state.withdraw(lease);
            settle(k, effect == Effect::erase ? std::optional{Cause::erased} : std::nullopt, {},
                   true);
            compare(k);
        } else {
            const bool stand = model_.stands(carried, since);
            const auto effect = Model::change(
                at, stand && terms.fresh > Ttl::zero() && fits(id),
                [&](const Model::State& state) { return state.stands(lease); },
                [&](Model::State& state) { return state.fill(lease); });
            expect(filled.kept == (effect == Effect::store), "fill: kept");
            expect(filled.tags_stand == stand, "fill: tags_stand");
            settle(k, effect, model_.copy(id, terms, carried, since, weight_of(id)));
        }
        if (bytes_.next() % 4 != 0) {
            let_go(index);
        }
    }
    // A load that failed, whose answer is not kept, or whose holder is gone.
    void let_go() {
        if (loans_.empty()) {
            return visit(key());
        }
        const unsigned how = bytes_.next();
        const std::size_t index = how / 3 % loans_.size();
        const Loan& loan = loans_[index];
        const int k = loan.key;
        resolve(k);
        const K name = Kind::key(k);
        begin("release or withdraw", k);
        const auto act = [&] {
            how % 3 == 0   ? store_.release(name, loan.opening.lease)
            : how % 3 == 1 ? store_.withdraw(name, loan.opening.lease)
                           : void();
        };
        if (!tried(act)) {
            calmly(act);
        }
        Model::Key& at = model_.touch(k);
        Effect effect = Effect::keep;
        if (how % 3 == 0) {
            at.state.release(loan.mine);
        } else if (how % 3 == 1) {
            effect = at.state.withdraw(loan.mine);
        }
        settle(k, effect);
        let_go(index);
        // What waits for a load now.
        const bool underway = store_.underway(name) != nullptr;
        expect(underway == (model_.touch(k).state.lease() != 0), "underway");
    }

    void begin_write(int k) {
        resolve(k);
        const K name = Kind::key(k);
        const Ttl life = bytes_.next() % 4 == 0 ? Ttl{5} : Ttl{10'000};
        const std::uint64_t since = model_.tick();
        begin("begin_write", k);
        larder::detail::Ticket ticket{};
        const bool done = tried([&] { ticket = store_.begin_write(name, life); });
        Model::Key& at = model_.touch(k);
        if (!done) {
            settle(k, {}, {}, true);
            return start_over(k);
        }
        const std::uint64_t id = ++ids_;
        at.state.begin_write(id, Model::later(model_.now, life));
        at.place = at.place || at.copy.has_value();
        settle(k, Cause::erased, {}, false, true);
        writers_.push_back({k, id, since, ticket});
        if (writers_.size() > 8) {
            writers_.pop_front();  // nobody tells how it ended
        }
    }
    void finish_write() {
        if (writers_.empty()) {
            return erase(key());
        }
        const std::size_t index = bytes_.next() % writers_.size();
        const Writer writer = writers_[index];
        const int k = writer.key;
        resolve(k);
        const std::optional<int> id = value();
        const Lifetime terms = life();
        const unsigned how = bytes_.next();
        const unsigned carried = how >> 1U & 7U;
        std::optional<V> theirs = given(id);
        larder::detail::CopyTerms with{terms, names(carried)};
        const K name = Kind::key(k);
        const bool keeps = how % 2 == 0;
        begin("finish_write", k);
        bool found = false;
        const bool done = tried([&] {
            found =
                store_.finish_write(name, writer.theirs, keeps ? Finish::value : Finish::nothing,
                                    std::move(theirs), std::move(with));
        });
        Model::Key& at = model_.touch(k);
        if (!done) {
            call_again([&] { store_.finish_write(name, writer.theirs, Finish::nothing, {}, {}); });
            if (at.state.holds(writer.mine)) {
                at.state.finish_write(writer.mine, false);
            }
            settle(k, {}, {}, true);
            start_over(k);
        } else {
            const bool leaves = keeps && terms.fresh > Ttl::zero();
            bool stood = false;
            const auto effect = Model::change(
                at, leaves && model_.stands(carried, writer.since) && fits(id),
                [&](const Model::State& state) { return state.may_leave(writer.mine); },
                [&](Model::State& state) {
                    const auto finished = state.finish_write(writer.mine, leaves);
                    stood = finished.found;
                    return finished.effect;
                });
            expect(found == stood, "finish_write: its ticket");
            settle(k, effect, model_.copy(id, terms, carried, writer.since, weight_of(id)));
        }
        if (bytes_.next() % 8 != 0) {
            writers_.erase(writers_.begin() + static_cast<std::ptrdiff_t>(index));
        }
    }

    void invalidate() {
        const unsigned which = bytes_.next() & 7U;
        const larder::Tags all = names(which);
        const std::vector<std::string> tags{all.begin(), all.end()};
        begin("invalidate_tags", -1);
        if (!tried([&] { store_.invalidate_tags(tags); })) {
            calmly([&] { store_.invalidate_tags(tags); });
        }
        model_.invalidate(which);
        settle(-1, Effect::keep);
    }

    // ---- what must have happened ----

    void begin(const char* what, int k) {
        what_ = what;
        key_ = k;
        history_[calls_++ % history_.size()] = {what, k};
        size_before_ = store_.size();
        weight_before_ = store_.weight();
        full_once_ = full_once_ || size_before_ + 1 >= capacity_ || weighed_;
    }

    // True if it ended as it should; false if the step that was to fail did.
    template <class F>
    [[gnu::noinline]] bool tried(F&& f) {
        if (!fault_) {
            f();
            return true;
        }
        const Failing failing{fault_->first, fault_->second, Failing::Times::once};
        try {
            f();
            return true;
        } catch (const std::exception& failure) {
            if (failing.hit()) {
                counted_ = false;
                in_order_ = false;
                return false;
            }
            complain(failure.what());
        }
    }
    template <class F>
    void calmly(F&& f) {
        f();
    }

    // Where the arguments may have failed, before the call.
    template <class F>
    void call_again(F&& f) {
        if constexpr (Kind::arguments_may_fail) {
            f();
        }
    }

    // Whoever left must have been there.
    const Model::Key& left(const Gone& gone) {
        const Model::Key& at = model_[gone.key];
        expect(at.copy && at.copy->value == gone.value, "a value left that is not there");
        return at;
    }

    void settle(int k, Effect effect, std::optional<Model::Copy> copy = {}) {
        if (effect == Effect::store) {
            settle(k, Cause::replaced, std::move(copy));
        } else {
            settle(k, effect == Effect::erase ? std::optional{Cause::erased} : std::nullopt, {});
        }
    }
    // Goes through what has left: the copy of `k` by `cause`, if one is given; others for want of room,
    // or since their time has come. Then `copy` is there.
    //
    // @param threw  the copy of `k` may be gone, by whatever cause
    // @param place  its place may stay
    void settle(int k, std::optional<Cause> cause, std::optional<Model::Copy> copy,
                bool threw = false, bool place = false) {
        const bool had = k >= 0 && model_[k].copy && model_[k].copy->value;
        const bool in_place = k >= 0 && (model_[k].copy || model_[k].place);
        bool own = false;
        for (const Gone& gone : gone_) {
            if (copy && copy->value == gone.value && gone.key == k) {
                expect(gone.cause == Cause::evicted, "the new value is not evicted, but gone");
                copy.reset();  // not admitted
                continue;
            }
            const Model::Key& at = left(gone);
            const bool live = model_.live(*at.copy);
            if (gone.key == k && (cause || threw)) {
                expect(threw || gone.cause == *cause || (gone.cause == Cause::expired && !live),
                       "cause of its own");
                own = true;
            } else if (gone.cause == Cause::evicted) {
                const std::size_t more = copy ? copy->weight : 0;
                expect(threw || size_before_ >= capacity_ ||
                           (weighed_ && weight_before_ + more > model_.max_weight),
                       "evicted while there is room");
                expect(!in_order_ || !model_.older_than(*at.copy), "evicted out of order");
            } else {
                expect(gone.cause == Cause::expired && !live, "cause");
            }
            model_[gone.key].copy.reset();
        }
        gone_.clear();
        expect(!cause || !had || own || threw, "a value is not reported");
        if (k >= 0 && (cause || copy)) {
            model_[k].place = place && (model_[k].place || model_[k].copy.has_value());
            if (copy) {
                model_.list(*copy, in_place);
            }
            model_[k].copy = std::move(copy);
        } else if (k >= 0 && model_[k].copy) {
            model_.touch(*model_[k].copy);
        }
    }

    // The step has failed within the slot: an invalidation says again how it is.
    void start_over(int k) {
        const K name = Kind::key(k);
        calmly([&] { store_.erase(name); });
        model_.touch(k).state.erase();
        settle(k, Cause::erased, {}, true);
        model_[k].copy.reset();
        compare(k);
    }
    // Known absences leave without a word: is this one still there?
    void resolve(int k) {
        Model::Key& at = model_[k];
        if (at.copy && !at.copy->value && model_.live(*at.copy) && (full_once_ || !counted_)) {
            const auto there = store_.find(Kind::key(k));
            counted(at, there ? Held::fresh : Held::nothing);
            if (!there) {
                at.copy.reset();
            }
        }
    }
    void compare(int k) {
        what_ = "a look";
        key_ = k;
        resolve(k);
        looked(k, store_.find(Kind::key(k)));
    }
    void looked(int k, const std::optional<larder::Entry<V>>& entry) {
        Model::Key& at = model_[k];
        const bool there = model_.held(at) != Held::nothing;
        counted(at, model_.held(at));
        expect(entry.has_value() == there, "a copy is there or not");
        if (entry) {
            same(k, *entry);
        }
    }
    void same(int k, const larder::Entry<V>& entry) {
        const Model::Copy& copy = *model_[k].copy;
        expect(entry.value.has_value() == copy.value.has_value(), "known absence");
        expect(!entry.value || Kind::id(*entry.value) == *copy.value, "the value");
        const auto left = std::chrono::ceil<Ttl>(copy.stale_at - model_.now);
        expect(entry.remaining == left, "the time that remains");
    }
    void counted(Model::Key& at, Held held) {
        ++asked_;
        if (held != Held::nothing) {
            ++hits_;
            model_.use(*at.copy);
        }
    }

    // As of a whole store.
    void bounds() {
        std::size_t least = 0;
        std::size_t most = 0;
        std::size_t least_weight = 0;
        std::size_t most_weight = 0;
        std::size_t tickets = 0;
        for (auto& [k, at] : model_.keys()) {
            if (at.copy) {
                const bool sure = at.copy->value && model_.live(*at.copy);
                least += sure ? 1U : 0U;
                least_weight += sure ? at.copy->weight : 0U;
                most_weight += at.copy->weight;
            }
            most += at.copy || at.place ? 1U : 0U;
            at.state.expire(Held::fresh, model_.now);
            tickets += at.state.tickets();
        }
        expect(store_.size() <= capacity_, "over the capacity");
        expect(store_.size() >= least, "size() is less than what is there");
        expect(store_.size() <= most, "size() is more than what may be there");
        if (weighed_) {
            expect(store_.weight() <= model_.max_weight, "over the weight");
            expect(store_.weight() >= least_weight && store_.weight() <= most_weight, "weight()");
        }
        expect(store_.in_hand().tickets >= tickets, "tickets: fewer in hand");
        expect(store_.in_hand().tickets <= tickets, "tickets: more in hand");
    }

    void end() {
        fault_.reset();
        what_ = "the end";
        for (const Writer& writer : writers_) {
            store_.finish_write(Kind::key(writer.key), writer.theirs, Finish::nothing, {}, {});
            Model::Key& at = model_.touch(writer.key);
            at.state.finish_write(writer.mine, false);
            settle(writer.key, Cause::erased, {});
        }
        while (!loans_.empty()) {
            let_go(0);
        }
        for (auto& [k, at] : model_.keys()) {
            compare(k);
        }
        const larder::Stats stats = store_.stats();
        expect(!counted_ || (stats.hits == hits_ && stats.hits + stats.misses == asked_),
               "hits and misses");
        clock_.advance(std::chrono::hours{1});  // writes that nobody ended
        model_.now = clock_.now();
        expect(store_.in_hand() == larder::detail::InHand{}, "something is in hand");
        clear();
    }

    // ---- small parts ----

    static std::size_t weight_of(int id) { return 1 + static_cast<std::size_t>(id) % 5; }
    [[nodiscard]] std::size_t weight_of(std::optional<int> id) const {
        return !weighed_ ? 0 : id ? weight_of(*id) : 1;
    }
    [[nodiscard]] bool fits(std::optional<int> id) const {
        return weight_of(id) <= model_.max_weight;
    }
    static std::optional<V> given(std::optional<int> id) {
        return id ? std::optional<V>{Kind::value(*id)} : std::nullopt;
    }
    static larder::Tags names(unsigned which) {
        larder::Tags tags;
        for (unsigned tag = 0; tag < Model::tags; ++tag) {
            if ((which >> tag & 1U) != 0) {
                tags.push_back("a tag that is too long for its place " + std::to_string(tag));
            }
        }
        return tags;
    }

    void expect(bool right, const char* what) const {
        if (!right) {
            complain(what);
        }
    }
    [[noreturn]] void complain(const char* what) const {
        std::fprintf(stderr, "%s: %s of key %d: %s (capacity %zu, size %zu, weight %zu, %s)\n",
                     Kind::name, what_, key_, what, capacity_, store_.size(), store_.weight(),
                     fault_ ? std::string{to_string(fault_->first)}.c_str() : "no fault");
        std::fprintf(stderr, "  after:");
        for (std::size_t i = calls_ > history_.size() ? calls_ - history_.size() : 0; i < calls_;
             ++i) {
            const auto& [call, key] = history_[i % history_.size()];
            std::fprintf(stderr, " %s %d;", call, key);
        }
        std::fprintf(stderr, "\n");
        std::abort();
    }

    Bytes& bytes_;
    Model model_{};
    std::size_t capacity_ = 1;
    int universe_ = 1;
    bool weighed_ = false;
    std::vector<Gone> gone_{};
    larder::ManualClock clock_{};
    Store store_;
    std::vector<Loan> loans_{};
    std::deque<Writer> writers_{};
    std::optional<std::pair<Fault, int>> fault_{};
    const char* what_ = "nothing";
    int key_ = -1;
    std::array<std::pair<const char*, int>, 20> history_{};
    std::size_t calls_ = 0;
    int values_ = 0;
    std::uint64_t ids_ = 0;
    std::size_t size_before_ = 0;
    std::size_t weight_before_ = 0;
    bool full_once_ = false;  // known absences may have been evicted
    bool counted_ = true;     // no look has failed
    bool in_order_ = Kind::in_order;
    std::uint64_t asked_ = 0;
    std::uint64_t hits_ = 0;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_FUZZ_MEMORY_GAME_HPP
