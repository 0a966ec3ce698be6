// SPDX-License-Identifier: MIT

/// @file
/// One read that found no fresh copy: carries out its steps, one at a time.

#ifndef LARDER_DETAIL_READ_READ_RUN_HPP
#define LARDER_DETAIL_READ_READ_RUN_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/read/executor_load.hpp>
#include <larder/detail/read/keyed_read.hpp>
#include <larder/detail/read/leased_load.hpp>
#include <larder/detail/read/loads.hpp>
#include <larder/detail/read/lookup.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <memory>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The steps of one read, as `ReadSteps` decides them. `begin`, then `carry_out` until the step is the
/// last, then `end`; or all of it, blocking, in one call of `run`. What it has in hand when it is
/// destroyed is given back.
///
/// Of one thread at a time. Key and loader must outlive it.
///
/// @tparam Load  one of the loads of loads.hpp
template <class E, class Load>
class ReadRun final : public KeyedRead<typename E::Key> {
    using Base = KeyedRead<typename E::Key>;

public:
    using Key = typename E::Key;
    using Query = typename E::Store::Query;
    using Value = typename E::Value;
    using Base::begin;

    ReadRun(E& core, const Key& key, const Load& load)
        : Base{core, key, Load::outlives_call},
          core_{core},
          load_{load},
          query_{core.query(true)} {}

    /// All of the read. Reads on behalf of others are without `lookup` and `patience`.
    ///
    /// @throws whatever the loader threw, or `Error`
    Fetched<Value> run(ReadKind kind) { return run(begin(kind, Patience{})); }
    [[gnu::noinline]] Fetched<Value> run(ReadStep step) { return end(this->carry_on(step)); }

    /// The first step of a miss.
    ///
    /// @param lookup  what has been found; it is taken
    ReadStep begin(Lookup<E>&& lookup, Patience patience) {
        query_ = std::move(*lookup.query);
        stale_ = std::move(lookup.stale);
        return this->begin_miss(std::move(patience), stale_.has_value());
    }

    /// Gives or throws what the last step says.
    Fetched<Value> end(ReadStep step) {
        switch (step.act) {
            case ReadAct::give_hit: return as_fetched(core_, std::move(*copy_), Source::hit);
            case ReadAct::give_remote: return as_fetched(core_, std::move(*copy_), Source::joined);
            case ReadAct::give_stale:
                core_.count(Count::stale_hits);
                return as_fetched(core_, std::move(*stale_), Source::stale);
            case ReadAct::give_queued:
            case ReadAct::give_joined: {
                Fetched<Value> fetched = *as_flight_of<Fetched<Value>>(*this->awaited()).result();
                if (step.act == ReadAct::give_joined && fetched.source == Source::loaded) {
                    fetched.source = Source::joined;
                }
                return fetched;
            }
            case ReadAct::give_loaded:
                return this->leased() != nullptr ? mine().complete() : std::move(*loaded_);
            case ReadAct::give_nothing: return {};
            default: this->refuse(step);
        }
    }

    /// What `open` asks of the store, if it is asked together with others. What has been seen is old
    /// after that.
    [[nodiscard]] Query take_query() {
        if constexpr (requires { query_.dated; }) {
            query_.dated = dated();
        }
        return std::exchange(query_, core_.query(true));
    }

    /// Tells what `open` has answered, however it was asked.
    ///
    /// @param leased  the load of its lease, if another holds it
    ReadStep opened(Opening<Value>&& opening, LeasedLoad<E>* leased = nullptr) {
        return this->answered(take(std::move(opening), leased));
    }

private:
    using Answer = typename Base::Answer;

    Answer take(Opening<Value>&& opening, LeasedLoad<E>* leased) {
        Answer answer;
        answer.slot = opening.slot;
        answer.writing = opening.writing;
        answer.leased = leased;
        if (leased == nullptr && opening.slot == Slot::lead) {
            answer.leased = &own_lease_.emplace(core_, this->key(), opening, this->kind());
        }
        answer.due = !opening.copy ||
                     is_due(core_, Remaining{opening.copy->entry.remaining}, opening.copy->fresh);
        answer.lease = opening.lease;
        answer.flight = std::move(opening.flight);
        const bool hit = opening.slot == Slot::hit;
        (hit ? copy_ : stale_) = std::move(opening.copy);
        answer.stale = !hit && stale_;
        return answer;
    }

    [[nodiscard]] Dated dated() const noexcept {
        return core_.template dated<typename Load::Loader>();
    }

    Answer ask(ReadAct act) override {
        if (act == ReadAct::open) {
            Query query = take_query();
            return take(core_.store.open(this->key(), query), nullptr);
        }
        auto opening = open_refresh(core_.store, this->key(), act == ReadAct::open_reload, dated());
        if constexpr (has_near<typename E::Store>) {
            if (act == ReadAct::open_refresh && opening.slot == Slot::hit) {
                // Another process reloads it, which a near copy does not show: else each hit would ask.
                core_.back_off(this->key());
            }
        }
        return take(std::move(opening), nullptr);
    }

    void load_row(ReadAct act) override {
        Sourced<Value> row = timed(core_, this->key(), load_);
        if (act == ReadAct::load_leased) {
            mine().loaded(std::move(row));
            return;
        }
        loaded_.emplace(Fetched<Value>{std::move(row.loaded.value), Source::bypassed, {}, {}});
        core_.passed_by(this->key());
        if (act == ReadAct::load_bypass) {
            this->bypass().complete(*loaded_);
        }
    }

    void fill() noexcept override { mine().fill(); }

    std::shared_ptr<AnyFlight> make_flight() override { return std::make_shared<Flight<Value>>(); }

    // What the query knows will be old when the executor has answered.
    std::shared_ptr<ExecutorLoad<Key>> for_executor(const ReadStart& start) override {
        query_ = core_.query(true);
        return std::make_shared<OnExecutor>(core_, this->key(), load_, start);
    }

    class OnExecutor final : public ExecutorLoad<Key> {
    public:
        OnExecutor(E& core, const Key& key, const Load& load, const ReadStart& start)
            : ExecutorLoad<Key>{core, key, std::make_shared<Flight<Value>>()},
              core_{core},
              load_{load},
              start_{start} {}

    private:
        std::optional<HandedOn> load(AnyLead& lead) override {
            ReadStart start = start_;
            start.past_remote = this->past_remote();
            std::optional<Fetched<Value>> fetched;
            {
                ReadRun run{core_, this->key(), load_};
                const ReadStep last = run.carry_on(run.begin(start));
                if (last.act == ReadAct::hand_on) {
                    return run.handed_on();
                }
                fetched.emplace(run.end(last));
            }
            Lead<Fetched<Value>>{std::move(lead)}.complete(std::move(*fetched));
            return std::nullopt;
        }

        E& core_;
        const Load load_;
        const ReadStart start_;
    };

    [[nodiscard]] LeasedLoad<E>& mine() const noexcept {
        return static_cast<LeasedLoad<E>&>(*this->leased());
    }

    E& core_;
    const Load& load_;
    Query query_;
    std::optional<Copy<Value>> stale_{};
    std::optional<Copy<Value>> copy_{};  // the hit of `open`
    std::optional<LeasedLoad<E>> own_lease_{};
    std::optional<Fetched<Value>> loaded_{};  // without a lease
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_RUN_HPP
