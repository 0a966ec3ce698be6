// SPDX-License-Identifier: MIT

/// @file
/// The read path for many keys at once: one store round trip, one batch load.

#ifndef LARDER_DETAIL_READ_READ_MANY_HPP
#define LARDER_DETAIL_READ_READ_MANY_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/read/leased_batch.hpp>
#include <larder/detail/read/loads.hpp>
#include <larder/detail/read/lookup.hpp>
#include <larder/detail/read/read_run.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/read/refresh.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// One `get_many`. Made for the call, in its thread. Each key that has no fresh copy is a read of its
/// own; those that have come to the same step go on together.
template <class E>
class ReadMany {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    explicit ReadMany(E& core) noexcept : core_{core}, load_{&core} {}

    ReadMany(const ReadMany&) = delete;
    ReadMany& operator=(const ReadMany&) = delete;

    /// The values of the keys, in their order.
    ///
    /// @throws whatever the loader threw, or `Error`
    std::vector<std::optional<Value>> operator()(std::span<const Key> asked) {
        std::vector<std::size_t> place = without_duplicates(asked);
        answers_.resize(keys_.size());
        std::vector<std::optional<Copy<Value>>> stale = take_hits();
        begin_misses(stale);
        while (open_together() || wait_in_turn()) {}
        bypass_together();
        for (const Answer& answer : answers_) {
            if (answer.failure) {
                std::rethrow_exception(answer.failure);
            }
        }
        std::vector<std::optional<Value>> values;
        values.reserve(asked.size());
        for (const std::size_t at : place) {
            values.push_back(answers_[at].value);
        }
        return values;
    }

private:
    using Query = typename E::Store::Query;

    struct Answer {
        std::optional<Value> value{};
        std::exception_ptr failure{};
        bool known = false;
        bool near = false;  // by a near copy
    };

    // A read of one of the keys.
    struct Part {
        Part(E& core, const Key& key, const OwnLoad<E>& load, std::size_t place)
            : at{place}, run{core, key, load} {}

        std::size_t at;
        ReadRun<E, OwnLoad<E>> run;
        ReadStep step{ReadAct::open};

        // Where it stands until others have come so far, or have been served.
        [[nodiscard]] bool waits() const noexcept {
            return step.act >= ReadAct::wait_underway && step.act <= ReadAct::wait_remote;
        }
        [[nodiscard]] bool halts() const noexcept {
            return step.last() || step.act == ReadAct::open || step.act == ReadAct::join_bypass ||
                   waits();
        }
    };

    // The keys once each; answers where each that was asked for is found.
    std::vector<std::size_t> without_duplicates(std::span<const Key> asked) {
        std::unordered_map<Key, std::size_t, Hash<Key>, std::equal_to<>> seen;
        std::vector<std::size_t> place;
        place.reserve(asked.size());
        for (const Key& key : asked) {
            const auto [it, is_new] = seen.try_emplace(key, keys_.size());
            if (is_new) {
                keys_.push_back(key);
            }
            place.push_back(it->second);
        }
        return place;
    }

    // Changes that come before all copies.
    void take_pending() {
        for (std::size_t at = 0; at < keys_.size(); ++at) {
            if (auto change = core_.loader.pending(keys_[at])) {
                answers_[at].value = std::move(change->value);
                answers_[at].known = true;
            }
        }
    }

    // What is stale of the others.
    std::vector<std::optional<Copy<Value>>> take_hits() {
        if constexpr (before_copies<E>) {
            take_pending();
        }
        std::vector<std::optional<Copy<Value>>> stale(
            core_.options.grace > Ttl::zero() ? keys_.size() : 0);
        std::vector<std::size_t> due;
        queries_.assign(keys_.size(), core_.query());
        peek_many(
            core_.store, std::span<const Key>{keys_},
            [&](std::size_t at, const Value* value, Remaining remaining, Ttl life,
                bool refreshing) {
                Answer& answer = answers_[at];
                if (answer.known) {
                    return;
                }
                if (remaining > Remaining::zero()) {
                    answer.known = true;
                    if constexpr (has_near<typename E::Store>) {
                        answer.near = queries_[at].served;
                    }
                    if (value != nullptr) {
                        answer.value.emplace(*value);
                    }
                    if (!refreshing && is_due(core_, remaining, life)) {
                        due.push_back(at);
                    }
                } else if (value != nullptr && !stale.empty()) {
                    stale[at].emplace(Copy<Value>{{*value, whole(remaining)}, life, refreshing});
                }
            },
            std::span{queries_});
        for (const Answer& answer : answers_) {
            core_.count(!answer.known ? Count::misses
                        : answer.near ? Count::near_hits
                                      : Count::hits);
        }
        for (const std::size_t at : due) {
            refresh_soon(core_, keys_[at]);
        }
        return stale;
    }

    // What fails so early fails the call: nothing has been loaded for it.
    void begin_misses(std::vector<std::optional<Copy<Value>>>& stale) {
        for (std::size_t at = 0; at < keys_.size(); ++at) {
            if (answers_[at].known) {
                continue;
            }
            Part& part = *parts_.emplace_back(std::make_unique<Part>(core_, keys_[at], load_, at));
            Lookup<E> lookup{.query = std::move(queries_[at])};
            if (!stale.empty()) {
                lookup.stale = std::move(stale[at]);
            }
            advance(part, part.run.begin(std::move(lookup), Patience{}));
        }
    }

    // One round trip for all that are to open their slots, and one batch for the leases that they get,
    // which are filled before anybody is waited for. False: there are none.
    bool open_together() {
        std::vector<Part*> mine = parts_at(ReadAct::open);
        if (mine.empty()) {
            return false;
        }
        std::vector<Key> keys;
        std::vector<Query> queries;
        keys.reserve(mine.size());
        queries.reserve(mine.size());
        for (Part* const part : mine) {
            keys.push_back(keys_[part->at]);
            queries.push_back(part->run.take_query());
        }
        LeasedBatch<E> leases{core_, std::move(keys)};
        std::vector<Opening<Value>> openings;
        try {
            openings = leases.open(std::move(queries));
        } catch (const StoreError&) {
            openings.resize(mine.size());
        }
        for (std::size_t i = 0; i < mine.size(); ++i) {
            Part& part = *mine[i];
            part.step = part.run.opened(std::move(openings[i]), leases.lease(i));
            if (part.step.act != ReadAct::load_leased) {
                go_on(part, [&] { return part.step; });
            }
        }
        leases.load_and_fill([&](std::span<const Key> led) { return timed_many(core_, led); });
        for (Part* const part : mine) {
            if (part->step.act == ReadAct::load_leased) {
                go_on(*part, [&] {
                    const ReadStep step = part->run.loaded_leased();
                    return step.act == ReadAct::fill ? part->run.filled() : step;
                });
            }
        }
        return true;
    }

    // False: nobody waits.
    bool wait_in_turn() {
        bool waited = false;
        for (const auto& part : parts_) {
            if (part->waits()) {
                waited = true;
                go_on(*part, [&] { return part->run.carry_out(part->step); });
            }
        }
        return waited;
    }

    // What has no lease: one more batch, which fills nothing. A key that others are loading so is
    // waited for, and not in this batch.
    void bypass_together() {
        using Bypass = typename SingleFlight<Key>::Bypass;
        const std::vector<Part*> all = parts_at(ReadAct::join_bypass);
        std::vector<Key> keys;
        std::vector<Bypass> flights;
        std::vector<Part*> mine;
        keys.reserve(all.size());
        flights.reserve(all.size());
        mine.reserve(all.size());
        for (Part* const part : all) {
            Bypass flight =
                core_.loads().join_idle_bypass(keys_[part->at], std::make_shared<Flight<Value>>());
            if (flight.leads()) {
                flight.flight()->among_others(true);
                flights.push_back(std::move(flight));
                keys.push_back(keys_[part->at]);
                mine.push_back(part);
            }
        }
        load_bypass(keys, mine, flights);
        flights.clear();
        for (Part* const part : all) {
            while (!part->step.last()) {
                go_on(*part, [&] { return part->run.carry_out(part->step); });
            }
        }
    }

    template <class Flights>
    void load_bypass(std::span<const Key> keys, const std::vector<Part*>& mine, Flights& flights) {
        if (keys.empty()) {
            return;
        }
        std::vector<Loaded<Value>> loaded;
        try {
            loaded = timed_many(core_, keys);
        } catch (...) {
            for (std::size_t i = 0; i < keys.size(); ++i) {
                core_.count(Count::load_failures);
                flights[i].fail(std::current_exception());
                fail(*mine[i]);
            }
            return;
        }
        for (std::size_t i = 0; i < keys.size(); ++i) {
            core_.passed_by(keys[i]);
            Fetched<Value> fetched{std::move(loaded[i].value), Source::bypassed, {}, {}};
            flights[i].complete(fetched);
            know(*mine[i], std::move(fetched.value));
        }
    }

    [[nodiscard]] std::vector<Part*> parts_at(ReadAct act) {
        std::vector<Part*> all;
        for (const auto& part : parts_) {
            if (part->step.act == act) {
                all.push_back(part.get());
            }
        }
        return all;
    }

    // The next step of one read and those after it, until it halts; what fails is its own failure.
    template <class First>
    void go_on(Part& part, const First& first) {
        try {
            advance(part, first());
        } catch (...) {
            fail(part);
        }
    }
    void advance(Part& part, ReadStep step) {
        part.step = step;
        while (!part.halts()) {
            part.step = part.run.carry_out(part.step);
        }
        if (part.step.last()) {
            know(part, part.run.end(part.step).value);
        }
    }

    void know(Part& part, std::optional<Value> value) {
        part.step = {ReadAct::give_nothing};
        part.run.let_go();
        answers_[part.at].value = std::move(value);
    }
    // With what is being thrown.
    void fail(Part& part) noexcept {
        part.step = {ReadAct::give_nothing};
        part.run.let_go();
        answers_[part.at].failure = std::current_exception();
    }

    E& core_;
    const OwnLoad<E> load_;
    std::vector<Key> keys_{};
    std::vector<Query> queries_{};  // what the look has found, of each
    std::vector<Answer> answers_{};
    std::vector<std::unique_ptr<Part>> parts_{};  // of the keys that had no fresh copy
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_MANY_HPP
