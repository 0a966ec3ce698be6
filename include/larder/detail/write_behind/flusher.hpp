// SPDX-License-Identifier: MIT

/// @file
/// Carries what is recorded on to the database.

#ifndef LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP
#define LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP

#include <larder/concepts.hpp>
#include <larder/detail/core.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/random.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/ticker.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/detail/write_behind/bell.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/journal/journal.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// SlotState, write, settle; never take out first. A thread of its own keeps time; the writing is done by
/// the policy's executor. A forked child has a flusher of its own, whose thread starts at its first
/// write.
///
/// @tparam E  the Engine of a policy whose loader is a JournaledRepository
template <class E>
class Flusher {
    using Key = typename E::Key;
    using Value = typename E::Value;
    using SlotTable = std::vector<Claimed<Key, Value>>;

public:
    explicit Flusher(E& core) : core_{core}, ticker_{[this] { return step(); }} {
        bell().hang([this] { return ticker_.kick(); });
        ticker_.kick();  // the journal may hold changes of before
    }
    Flusher(const Flusher&) = delete;
    Flusher& operator=(const Flusher&) = delete;

    /// Writes what is left, for as long as `drain` allows, and tells the observer of the rest.
    ~Flusher() {
        draining_ = true;
        try {
            flush(options().drain);
        } catch (...) {
            // The journal cannot be asked: what it holds is told below.
        }
        stopping_ = true;
        ticker_.stop();
        report_rest();
    }

    /// @return how many changes are left
    /// @throws StoreError  the journal cannot be asked, not even after `within`
    std::size_t flush(Ttl within) {
        if (is_empty()) {
            return 0;
        }
        Flushes& flushes = flushes_.get();
        const auto until = later(SteadyTime::now(), (std::max)(within, Ttl::zero()));
        {
            const Hurry hurry{flushes};
            const std::uint64_t mine = ++flushes.asked;
            if (!ticker_.kick()) {
                step();  // there can be no thread
            }
            if (bell().wait(until, [this] { return is_empty(); })) {
                flushes.serve(mine);
            }
        }
        // What is recorded after this waits for company again.
        bell().wait(until, [&] { return !flushes.claiming; });
        return core_.loader.journal().size();
    }

private:
    using SteadyTime = std::chrono::steady_clock;

    // A change that waits for its next try rings no bell, nor does one of another process.
    static constexpr Ttl heartbeat{50};
    static constexpr Ttl pulse{5};  // while somebody waits for us

    struct Flushes {
        std::atomic<int> waiting{0};
        std::atomic<std::uint64_t> asked{0};
        std::atomic<std::uint64_t> served{0};  // a flush that did not wait is served all the same
        std::atomic<bool> claiming{false};
        std::atomic<bool> gathering{false};  // changes that were rung for wait for company

        [[nodiscard]] bool hurry() const noexcept { return waiting > 0 || asked != served; }
        void serve(std::uint64_t upto) noexcept {
            std::uint64_t before = served;
            while (before < upto && !served.compare_exchange_weak(before, upto)) {}
        }
    };
    struct Hurry {
        explicit Hurry(Flushes& flushes) : mine{flushes} { ++mine.waiting; }
        ~Hurry() { --mine.waiting; }
        Hurry(const Hurry&) = delete;
        Hurry& operator=(const Hurry&) = delete;
        Flushes& mine;
    };

    [[nodiscard]] Bell& bell() const noexcept { return core_.loader.bell(); }
    [[nodiscard]] const WriteBehindOptions& options() const noexcept {
        return core_.loader.options();
    }

    // A journal that cannot be asked may hold something.
    [[nodiscard]] bool is_empty() const noexcept {
        try {
            return core_.loader.journal().size() == 0;
        } catch (...) {
            return false;
        }
    }

    Ticker::Next step() noexcept {
        try {
            return round(flushes_.get());
        } catch (...) {
            core_.tell_all(EventKind::store_failed, std::current_exception());
            return heartbeat;
        }
    }

    // Writes all that is due. What was rung for may wait for company before that.
    Ttl round(Flushes& flushes) {
        const Ttl company = (std::min)(options().delay, heartbeat);
        const bool in_time = !flushes.hurry() && !bell().pressed();
        if (in_time && bell().rung() && company > Ttl::zero() &&
            !flushes.gathering.exchange(true)) {
            return company;
        }
        flushes.gathering = false;
        bell().answer();
        const std::uint64_t asked = flushes.asked;
        while (!stopping_ && pass(flushes)) {}
        flushes.serve(asked);
        bell().wake();
        return flushes.hurry() ? pulse : heartbeat;
    }

    // One batch; false if nothing is due.
    bool pass(Flushes& flushes) {
        const auto errand = std::make_shared<Errand>();  // before there is something to lose
        const SlotTable claims = claim(flushes);
        if (claims.empty()) {
            return false;
        }
        if (hand_over(errand, claims)) {
            attend(errand, claims);
        } else if (errand->begin()) {
            write(claims);
        }
        return true;
    }

    SlotTable claim(Flushes& flushes) {
        struct Claiming {
            Flusher& flusher;
            Flushes& flushes;
            Claiming(Flusher& f, Flushes& of) : flusher{f}, flushes{of} { flushes.claiming = true; }
            ~Claiming() {
                flushes.claiming = false;
                flusher.bell().wake();
            }
        } const claiming{*this, flushes};
        const bool at_once = flushes.hurry() || core_.loader.crowded();
        return core_.loader.journal().claim(options().batch, options().claim,
                                            at_once ? Ttl::zero() : options().delay);
    }

    class Errand;

    // The task may outlive the policy, and then finds nothing to do: it holds nothing of the user's.
    bool hand_over(const std::shared_ptr<Errand>& errand, const SlotTable& claims) noexcept {
        try {
            return core_.executor.submit([this, errand, &claims] {
                if (errand->begin()) {
                    write(claims);
                    errand->end();
                }
            });
        } catch (...) {
            return false;
        }
    }

    // Until the errand has ended. What the executor has dropped, or does not begin while we drain, is
    // carried out here; when the drain is over, what has not begun never does.
    void attend(const std::shared_ptr<Errand>& errand, const SlotTable& claims) {
        const Ttl third = (std::max)(options().claim / 3, Ttl{1});
        auto renew_at = later(SteadyTime::now(), third);
        while (!errand->wait((std::min)(third, heartbeat))) {
            const bool dropped = errand.use_count() == 1;
            if ((draining_ || dropped) && errand->begin()) {
                write(claims);
                return;
            }
            if (SteadyTime::now() >= renew_at) {
                renew_at = later(SteadyTime::now(), third);
                renew(claims);
            }
        }
    }

    // SlotTable live on while the database is slow.
    void renew(const SlotTable& claims) noexcept {
        try {
            core_.loader.journal().renew(claims, options().claim);
        } catch (...) {
            core_.tell_all(EventKind::store_failed, std::current_exception());
        }
    }

    // Work handed to the executor, which either it or the flusher begins.
    class Errand {
    public:
        bool begin() noexcept { return !begun_.exchange(true); }
        void end() {
            const std::scoped_lock lock{mutex_};
            ended_ = true;
            changed_.notify_all();
        }
        bool wait(Ttl most) {
            std::unique_lock lock{mutex_};
            return changed_.wait_for(lock, most, [this] { return ended_; });
        }

    private:
        std::atomic<bool> begun_{false};
        std::mutex mutex_{};
        std::condition_variable changed_{};
        bool ended_ = false;
    };

    // What the journal is told, it is told again if that fails: a claim that is not settled keeps its
    // change for long.
    template <class Tell>
    static auto insist(Tell&& tell) {
        try {
            return tell();
        } catch (...) {
            return tell();
        }
    }

    // Writes claimed changes together where the repository can, and apart where that fails: until
    // the one that is to blame stands alone.
    void write(std::span<const Claimed<Key, Value>> claims) noexcept {
        if (stopping_) {
            return;  // the drain is over: they are told of, not begun
        }
        try {
            if (claims.size() > 1 && !together) {
                for (const auto& one : claims) {
                    write(std::span{&one, 1});
                }
                return;
            }
            std::vector<bool> applied;
            try {
                applied = apply(claims);
            } catch (...) {
                if (claims.size() > 1) {
                    const std::size_t half = claims.size() / 2;
                    write(claims.first(half));
                    write(claims.subspan(half));
                } else {
                    failed(claims.front(), std::current_exception());
                    bell().wake();
                }
                return;
            }
            settle(claims, applied);
            bell().wake();
        } catch (...) {
            // The journal cannot be told: the claims end by themselves, and are written again.
            core_.tell(EventKind::store_failed, claims.front().change.key,
                       std::current_exception());
        }
    }

    static constexpr bool together =
        BatchRepositoryFor<typename E::Loader::repository_type, typename E::Store>;
    static constexpr bool versioned =
        VersionedRepositoryFor<typename E::Loader::repository_type, typename E::Store>;

    static constexpr bool unshared = requires { requires E::Loader::journal_type::unshared; };

    std::vector<bool> apply(std::span<const Claimed<Key, Value>> claims) {
        auto& repository = core_.loader.repository();
        if constexpr (together) {
            if (claims.size() > 1) {
                std::vector<Change<Key, Value>> changes;
                changes.reserve(claims.size());
                for (const auto& claimed : claims) {
                    changes.push_back(claimed.change);
                }
                return save_many(repository, std::span<const Change<Key, Value>>{changes});
            }
        }
        const Change<Key, Value>& change = claims.front().change;
        auto& unwrapped = static_cast<Unwrapped<typename E::Loader::repository_type>&>(repository);
        if constexpr (versioned) {
            return {change.value ? unwrapped.save(change.key, *change.value, change.version)
                                 : unwrapped.remove(change.key, change.version)};
        } else {
            if (change.value) {
                static_cast<void>(unwrapped.save(change.key, *change.value));
            } else {
                static_cast<void>(unwrapped.remove(change.key));
            }
            return {true};
        }
    }

    void settle(std::span<const Claimed<Key, Value>> claims, const std::vector<bool>& applied) {
        SlotTable written;
        for (std::size_t i = 0; i < claims.size(); ++i) {
            if (applied[i]) {
                written.push_back(claims[i]);
            } else {
                ++core_.loader.tally().refused;
                bury(claims[i], "refused", nullptr);
            }
        }
        if constexpr (unshared) {
            // Other processes see neither the journal nor, without this, that the row has changed. If
            // the store cannot be told, the claims end by themselves, and all is done again.
            for (const auto& one : written) {
                core_.store.erase(one.change.key);
            }
        }
        const std::vector<bool> mine =
            insist([&] { return core_.loader.journal().settle(written); });
        for (std::size_t i = 0; i < written.size(); ++i) {
            if (!mine[i]) {
                // Buried or superseded meanwhile: copies may show what no longer counts.
                core_.drop(written[i].change.key);
            }
        }
    }

    void failed(const Claimed<Key, Value>& claimed, const std::exception_ptr& failure) {
        if (claimed.attempts + 1 >= options().attempts) {
            bury(claimed, text_of(failure), failure);
            return;
        }
        ++core_.loader.tally().retries;
        const auto doublings = (std::min)(claimed.attempts, std::size_t{30});
        const double most = static_cast<double>(cut(options().backoff).count()) *
                            static_cast<double>(std::uint64_t{1} << doublings);
        const double wait =
            (std::min)(most, static_cast<double>(cut(options().max_backoff).count())) *
            (0.5 + 0.5 * random_fraction());
        const Ttl delay{static_cast<Ttl::rep>(wait) + 1};
        insist([&] { core_.loader.journal().defer(claimed, delay); });
    }

    void bury(const Claimed<Key, Value>& claimed, const std::string& why,
              const std::exception_ptr& failure) {
        if (insist([&] { return core_.loader.journal().bury(claimed, why); })) {
            ++core_.loader.tally().buried;
            core_.tell(EventKind::buried, claimed.change.key, failure);
        }
        core_.drop(claimed.change.key);
    }

    static std::string text_of(const std::exception_ptr& failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            return error.what();
        } catch (...) {
            return "an exception that is no std::exception";
        }
    }

    void report_rest() noexcept {
        try {
            if (const std::size_t left = core_.loader.journal().size(); left > 0) {
                core_.tell_all(
                    EventKind::not_drained,
                    std::make_exception_ptr(Error{
                        Errc::closed, std::to_string(left) +
                                          " changes were not written before the policy went"}));
            }
        } catch (...) {
            core_.tell_all(EventKind::not_drained, std::current_exception());
        }
    }

    E& core_;
    std::atomic<bool> draining_{false};
    std::atomic<bool> stopping_{false};
    ForkLocal<Flushes> flushes_{};
    Ticker ticker_;  // the last: its thread uses the others
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP
