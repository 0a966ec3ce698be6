// SPDX-License-Identifier: MIT

/// @file
/// Random walks: the same steps on a store's slot and on the model's, compared after each of them.

#ifndef LARDER_TESTS_MODELS_SLOT_WALK_HPP
#define LARDER_TESTS_MODELS_SLOT_WALK_HPP

#include "coherence_model.hpp"

#include <larder/larder.hpp>

#include <concepts>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

// A lease or ticket that a client of the walk still remembers, in the store's terms and the model's.
template <class T>
struct Remembered {
    T theirs;
    std::uint64_t mine;
};

template <class Store, class Backend>
class Walk {
public:
    using Ttl = larder::Ttl;
    using Finish = larder::detail::Finish;
    using Slot = larder::detail::Slot;
    using Model = CoherenceModel;

    /// @param backend  `evict(key)` takes a copy away and says whether it did
    /// @param advance  moves the time that the store lives by
    /// @param unit     the model's step of time; more than real time takes for a walk, if that counts
    Walk(std::uint64_t seed, Store store, Backend backend, std::function<void(Ttl)> advance,
         Ttl unit = Ttl{1})
        : random_{seed},
          store_{std::move(store)},
          backend_{std::move(backend)},
          advance_{std::move(advance)},
          unit_{unit} {}

    // Empty if every step agreed, else what the last ones were.
    std::string run(int steps) {
        for (int i = 0; i < steps; ++i) {
            step();
            if (const std::string difference = compare(); !difference.empty()) {
                std::string text = difference + "\nafter:";
                for (const std::string& done : history_) {
                    text += "\n  " + done;
                }
                return text;
            }
        }
        return {};
    }

    long kept = 0;
    long lost = 0;

private:
    static constexpr int key = 1;

    std::uint64_t draw(std::uint64_t below) {
        return std::uniform_int_distribution<std::uint64_t>{0, below - 1}(random_);
    }
    void note(std::string text) {
        history_.push_back(std::to_string(now_) + ": " + std::move(text));
        if (history_.size() > 30) {
            history_.pop_front();
        }
    }
    template <class T>
    std::optional<T> pick(const std::vector<T>& all) {
        return all.empty() ? std::nullopt : std::optional<T>{all[draw(all.size())]};
    }
    template <class T>
    bool remember(std::vector<Remembered<T>>& all, Remembered<T> one) {
        const bool full = all.size() >= 6;
        if (full) {  // the oldest client forgets: it has died
            all.erase(all.begin());
        }
        all.push_back(one);
        return full;
    }

    void opened(const char* what, larder::detail::Opening<int> theirs, Model::Answer mine,
                std::uint64_t id) {
        const bool same = (mine == Model::Answer::lead && theirs.slot == Slot::lead) ||
                          (mine == Model::Answer::join && theirs.slot == Slot::join) ||
                          (mine == Model::Answer::bypass && theirs.slot == Slot::bypass) ||
                          (mine == Model::Answer::hit && theirs.slot == Slot::hit) ||
                          (mine == Model::Answer::nothing && theirs.slot == Slot::hit);
        note(std::string{what} + " answers " + std::to_string(static_cast<int>(theirs.slot)));
        if (!same) {
            wrong_ =
                std::string{what} + ": the model answers " + std::to_string(static_cast<int>(mine));
        }
        if (theirs.slot == Slot::lead) {
            if (remember(leases_, {theirs.lease, id})) {
                model_.release(leads_.front().mine);  // a lease ends with its holder
                leads_.pop_front();
            }
            leads_.push_back({std::move(theirs.lead), id});
        }
        if (theirs.slot == Slot::join && !theirs.flight) {
            wrong_ = "a join without a flight";
        }
    }

    void step() {
        const int grace = draw(2) == 0 ? 0 : 8;
        const larder::Lifetime life{10 * unit_, grace * unit_};
        const long fresh = now_ + 10;
        const long gone = fresh + grace;
        const int value = ++values_;
        model_.expire(now_);
        switch (draw(14)) {
            case 0:
            case 1: {
                const std::uint64_t id = ++ids_;
                opened("open", store_.open(key), model_.open(id, now_), id);
                break;
            }
            case 2: {
                const std::uint64_t id = ++ids_;
                opened("open_refresh", store_.open_refresh(key, false),
                       model_.open_refresh(id, now_), id);
                break;
            }
            case 3: {
                const std::uint64_t id = ++ids_;
                opened("force_refresh", store_.open_refresh(key, true), model_.force_refresh(id),
                       id);
                break;
            }
            case 4:
            case 5:
                if (const auto lease = pick(leases_)) {
                    const bool mine = model_.fill(lease->mine, value, fresh, gone);
                    const bool theirs = store_.fill(key, lease->theirs, value, {life}).kept;
                    note("fill lease " + std::to_string(lease->mine) +
                         (theirs ? ": kept" : ": dropped"));
                    (theirs ? kept : lost) += 1;
                    if (mine != theirs) {
                        wrong_ = "fill: the model says otherwise";
                    }
                }
                break;
            case 6:
                if (const auto lease = pick(leases_)) {
                    note("release lease " + std::to_string(lease->mine));
                    model_.release(lease->mine);
                    store_.release(key, lease->theirs);
                }
                break;
            case 7:
            case 8:
                if (const auto lease = pick(leases_)) {
                    note("withdraw lease " + std::to_string(lease->mine));
                    model_.withdraw(lease->mine);
                    store_.withdraw(key, lease->theirs);
                }
                break;
            case 9: {
                const std::uint64_t id = ++ids_;
                const long ticket_life = static_cast<long>(1 + draw(12));
                note("begin_write ticket " + std::to_string(id) + " until " +
                     std::to_string(now_ + ticket_life));
                model_.begin_write(id, now_ + ticket_life);
                remember(tickets_, {store_.begin_write(key, ticket_life * unit_), id});
                break;
            }
            case 10:
            case 11:
                if (const auto ticket = pick(tickets_)) {
                    const bool leaves = draw(4) != 0;
                    note("finish_write ticket " + std::to_string(ticket->mine) +
                         (leaves ? " with a value" : " with nothing"));
                    const bool stood = model_.slot == Model::Kind::writing &&
                                       model_.tickets.contains(ticket->mine);
                    model_.finish_write(ticket->mine, leaves ? std::optional{value} : std::nullopt,
                                        fresh, gone);
                    if (store_.finish_write(key, ticket->theirs,
                                            leaves ? Finish::value : Finish::nothing, value,
                                            {life}) != stood) {
                        wrong_ = "finish_write: the model says otherwise of the ticket";
                    }
                }
                break;
            case 12:
                switch (draw(4)) {
                    case 3: write_at_once(value, life, fresh, gone); break;
                    case 0:
                        note("erase");
                        model_.erase();
                        store_.erase(key);
                        break;
                    case 1:
                        note("put");
                        model_.put(value, fresh, gone);
                        store_.put(key, value, life);
                        break;
                    default:
                        if (backend_.evict(key)) {
                            note("evicted");
                            model_.evict();
                        }
                        break;
                }
                break;
            default: {
                const long by = static_cast<long>(1 + draw(7));
                now_ += by;
                advance_(by * unit_);
                note("time passes");
                break;
            }
        }
        model_.expire(now_);
    }

    // A put where it leaves a value, else an invalidation; nothing if it is refused. Rule W11.
    void write_at_once([[maybe_unused]] int value, [[maybe_unused]] larder::Lifetime life,
                       [[maybe_unused]] long fresh, [[maybe_unused]] long gone) {
        const auto record = [refused = draw(4) == 0](const auto& step) {
            return !refused && step();
        };
        // In one step with another that is a function; one of Redis is a script, with tests of its own.
        if constexpr (requires { requires std::invocable<typename Store::AtOnce>; }) {
            const bool leaves = draw(4) != 0;
            const bool taken = store_.write_at_once(
                key, value, {leaves ? life : larder::Lifetime{Ttl::zero()}}, record);
            note(std::string{"write at once "} + (leaves ? "a value" : "nothing") +
                 (taken ? "" : ": refused"));
            if (taken && leaves) {
                model_.put(value, fresh, gone);
            } else if (taken) {
                model_.erase();
            }
        }
    }

    // What both show, by operations that change nothing.
    std::string compare() {
        if (!wrong_.empty()) {
            return wrong_;
        }
        const auto found = store_.find(key);
        const bool held = model_.slot == Model::Kind::value;
        if (found.has_value() != held) {
            return held ? "the model holds a value, the store none"
                        : "the store holds a value, the model none";
        }
        const Ttl left = (model_.fresh_until - now_) * unit_;
        if (held && (found->value != model_.val || found->remaining > left ||
                     found->remaining <= left - unit_)) {
            return "another value or another life";
        }
        const bool flight = store_.underway(key) != nullptr;
        const bool leased = model_.slot != Model::Kind::writing && model_.lease != 0;
        if (flight != leased) {
            return flight ? "the store shows a lease, the model none"
                          : "the model shows a lease, the store none";
        }
        return {};
    }

    std::mt19937_64 random_;
    Store store_;
    Backend backend_;
    std::function<void(Ttl)> advance_;
    Ttl unit_;
    Model model_{};
    long now_ = 0;
    std::uint64_t ids_ = 0;
    int values_ = 0;
    std::vector<Remembered<larder::detail::Lease>> leases_{};
    std::vector<Remembered<larder::detail::Ticket>> tickets_{};
    std::deque<Remembered<larder::detail::AnyLead>> leads_{};
    std::deque<std::string> history_{};
    std::string wrong_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_MODELS_SLOT_WALK_HPP
