// SPDX-License-Identifier: MIT

/// @file
/// Carries what is recorded on to the database.

#ifndef LARDER_DETAIL_FLUSHER_HPP
#define LARDER_DETAIL_FLUSHER_HPP

#include <larder/concepts.hpp>
#include <larder/detail/call.hpp>
#include <larder/detail/engine.hpp>
#include <larder/detail/later.hpp>
#include <larder/detail/random.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Claim, write, settle; never take out first. A thread of its own keeps time; the writing is done by
/// the policy's executor.
///
/// @tparam E  the Engine of a policy whose loader is a Ledger
template <class E>
class Flusher {
    using Key = typename E::Key;
    using Value = typename E::Value;
    using Claims = std::vector<Claimed<Key, Value>>;

public:
    explicit Flusher(E& engine) : e_{engine}, thread_{[this] { run(); }} {}
    Flusher(const Flusher&) = delete;
    Flusher& operator=(const Flusher&) = delete;

    /// Writes what is left, for as long as `drain` allows, and tells the observer of the rest.
    ~Flusher() {
        draining_ = true;
        try {
            flush(e_.loader.options().drain);
        } catch (...) {
            // The journal cannot be asked: what it holds is told below.
        }
        stopping_ = true;
        e_.loader.wake();
        thread_.join();
        report_rest();
    }

    /// @return how many changes are left
    std::size_t flush(Ttl within) {
        const auto until = later(SteadyTime::now(), within);
        struct Hurry {
            std::atomic<int>& urgent;
            ~Hurry() { --urgent; }
        } const hurry{urgent_};
        ++urgent_;
        ++flushes_;
        e_.loader.wake();
        e_.loader.wait(until, [this] { return e_.loader.journal().size() == 0; });
        return e_.loader.journal().size();
    }

private:
    using SteadyTime = std::chrono::steady_clock;

    // A change that waits for its next try rings no bell, nor does one of another process.
    static constexpr std::chrono::milliseconds heartbeat{50};
    static constexpr std::chrono::milliseconds pulse{5};  // while somebody waits for us

    // A flush that did not wait is served all the same.
    [[nodiscard]] bool hurried() const noexcept {
        return stopping_ || urgent_ > 0 || flushes_ != served_;
    }

    void run() {
        while (!stopping_) {
            try {
                e_.loader.wait(SteadyTime::now() + heartbeat, [this] {
                    return hurried() || e_.loader.rung() || e_.loader.pressed();
                });
                if (e_.loader.answered()) {
                    const Ttl company = (std::min)(e_.loader.options().delay, Ttl{heartbeat});
                    e_.loader.wait(SteadyTime::now() + company,
                                   [this] { return hurried() || e_.loader.pressed(); });
                }
                e_.loader.relieved();
                const unsigned flushes = flushes_;
                while (!stopping_ && pass()) {}
                served_ = flushes;
                if (hurried()) {
                    // What is left waits for its next try.
                    e_.loader.wait(SteadyTime::now() + pulse,
                                   [this] { return stopping_ || flushes_ != served_; });
                }
            } catch (...) {
                e_.tell_all(EventKind::store_failed, std::current_exception());
                e_.loader.wait(SteadyTime::now() + heartbeat, [this] { return stopping_.load(); });
            }
        }
    }

    // One batch; false if nothing is due.
    bool pass() {
        const auto& options = e_.loader.options();
        const bool at_once = hurried() || e_.loader.crowded();
        const auto claims = std::make_shared<const Claims>(e_.loader.journal().claim(
            options.batch, options.claim, at_once ? Ttl::zero() : options.delay));
        if (claims->empty()) {
            return false;
        }
        const auto errand = std::make_shared<Errand>();
        const bool accepted = e_.executor.submit([this, errand, claims] {
            if (errand->begin()) {
                write(*claims);
                errand->end();
            }
        });
        if (accepted) {
            attend(errand, *claims);
        } else if (errand->begin()) {
            write(*claims);
        }
        return true;
    }

    class Errand;

    // Until the errand has ended. What the executor has dropped, or does not begin while we drain, is
    // carried out here; when the drain is over, what has not begun never does.
    void attend(const std::shared_ptr<Errand>& errand, const Claims& claims) {
        const Ttl third = (std::max)(e_.loader.options().claim / 3, Ttl{1});
        auto renew_at = SteadyTime::now() + third;
        while (!errand->wait((std::min)(third, Ttl{heartbeat}))) {
            const bool dropped = errand.use_count() == 1;
            if ((draining_ || dropped) && errand->begin()) {
                write(claims);
                return;
            }
            if (SteadyTime::now() >= renew_at) {
                renew_at += third;
                renew(claims);
            }
        }
    }

    // Claims live on while the database is slow.
    void renew(const Claims& claims) noexcept {
        try {
            e_.loader.journal().renew(claims, e_.loader.options().claim);
        } catch (...) {
            e_.tell_all(EventKind::store_failed, std::current_exception());
        }
    }

    // Work handed to the executor, which either it or the flusher begins.
    class Errand {
    public:
        bool begin() { return !begun_.exchange(true); }
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
                    e_.loader.wake();
                }
                return;
            }
            settle(claims, applied);
            e_.loader.wake();
        } catch (...) {
            // The journal cannot be told: the claims end by themselves, and are written again.
            e_.tell(EventKind::store_failed, claims.front().change.key, std::current_exception());
        }
    }

    static constexpr bool together =
        BatchRepositoryFor<typename E::Loader::repository_type, typename E::Store>;
    static constexpr bool versioned =
        VersionedRepositoryFor<typename E::Loader::repository_type, typename E::Store>;

    static constexpr bool unshared = requires { requires E::Loader::journal_type::unshared; };

    std::vector<bool> apply(std::span<const Claimed<Key, Value>> claims) {
        auto& repository = e_.loader.repository();
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
        Claims written;
        for (std::size_t i = 0; i < claims.size(); ++i) {
            if (applied[i]) {
                written.push_back(claims[i]);
            } else {
                ++e_.loader.tally().refused;
                bury(claims[i], "refused", nullptr);
            }
        }
        if constexpr (unshared) {
            // Other processes see neither the journal nor, without this, that the row has changed. If
            // the store cannot be told, the claims end by themselves, and all is done again.
            for (const auto& one : written) {
                e_.store.erase(one.change.key);
            }
        }
        const std::vector<bool> mine = e_.loader.journal().settle(written);
        for (std::size_t i = 0; i < written.size(); ++i) {
            if (!mine[i]) {
                // Buried or superseded meanwhile: copies may show what no longer counts.
                e_.drop(written[i].change.key);
            }
        }
    }

    void failed(const Claimed<Key, Value>& claimed, const std::exception_ptr& failure) {
        const auto& options = e_.loader.options();
        if (claimed.attempts + 1 >= options.attempts) {
            bury(claimed, text_of(failure), failure);
            return;
        }
        ++e_.loader.tally().retries;
        const auto doublings = (std::min)(claimed.attempts, std::size_t{30});
        const double most = static_cast<double>(options.backoff.count()) *
                            static_cast<double>(std::uint64_t{1} << doublings);
        const double wait = (std::min)(most, static_cast<double>(options.max_backoff.count())) *
                            (0.5 + 0.5 * random_fraction());
        e_.loader.journal().defer(claimed, Ttl{static_cast<Ttl::rep>(wait) + 1});
    }

    void bury(const Claimed<Key, Value>& claimed, const std::string& why,
              const std::exception_ptr& failure) {
        if (e_.loader.journal().bury(claimed, why)) {
            ++e_.loader.tally().buried;
            e_.tell(EventKind::buried, claimed.change.key, failure);
        }
        e_.drop(claimed.change.key);
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
            if (const std::size_t left = e_.loader.journal().size(); left > 0) {
                e_.tell_all(
                    EventKind::not_drained,
                    std::make_exception_ptr(Error{
                        Errc::closed, std::to_string(left) +
                                          " changes were not written before the policy went"}));
            }
        } catch (...) {
            e_.tell_all(EventKind::not_drained, std::current_exception());
        }
    }

    E& e_;
    std::atomic<bool> draining_{false};
    std::atomic<bool> stopping_{false};
    std::atomic<int> urgent_{0};  // callers of flush
    std::atomic<unsigned> flushes_{0};
    unsigned served_ = 0;  // of the flushes; the flusher's own
    std::thread thread_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLUSHER_HPP
