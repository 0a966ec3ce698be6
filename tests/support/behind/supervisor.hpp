// SPDX-License-Identifier: MIT

/// @file
/// Processes that put and remove behind a journal, and are killed or stopped at any moment.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_SUPERVISOR_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_SUPERVISOR_HPP

#include "support/behind/notes.hpp"
#include "support/fleet/moment.hpp"
#include "support/fleet/processes.hpp"
#include "support/fleet/shared.hpp"

#include <larder/error.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test {

/// A way to write behind, in one process.
class BehindWriter {
public:
    BehindWriter() = default;
    BehindWriter(const BehindWriter&) = delete;
    BehindWriter& operator=(const BehindWriter&) = delete;
    virtual ~BehindWriter() = default;

    /// Without a value: removed. Acknowledged when it returns.
    virtual void write(int key, const std::optional<std::string>& value) = 0;

    /// Reads what was written last, by a new look.
    ///
    /// @throws std::logic_error  something else is read
    virtual void check(int key, const std::optional<std::string>& value) = 0;
};

/// A write-behind policy of larder's.
template <class P>
class PolicyWriter final : public BehindWriter {
public:
    explicit PolicyWriter(P policy) : policy_{std::move(policy)} {}

    void write(int key, const std::optional<std::string>& value) override {
        if (value) {
            policy_.put(key, *value);
        } else {
            policy_.remove(key);
        }
    }
    void check(int key, const std::optional<std::string>& value) override {
        // Copies come and go: what waits is not in them.
        policy_.invalidate(key);
        if (policy_.get(key) != value) {
            throw std::logic_error{"key " + std::to_string(key) + " does not read as it was put"};
        }
    }

private:
    P policy_;
};

template <class P>
std::unique_ptr<BehindWriter> writer_of(P policy) {
    return std::make_unique<PolicyWriter<P>>(std::move(policy));
}

struct KillPlan {
    /// Of two runs over the same rows the later has the greater one: its changes are newer.
    std::uint64_t seed = 1;
    std::chrono::milliseconds length{std::chrono::seconds{10}};

    /// They come first among the members, and each has `keys` of its own.
    std::size_t writers = 3;
    /// So many that few are written again before the end, which would cover what was lost.
    int keys = 20'000;
    /// One in two changes is of one of these, which are never at rest.
    int hot_keys = 20;
    std::chrono::microseconds rest{500};

    /// Members that only carry changes on.
    std::size_t flushers = 0;

    /// Something is done to somebody after so long at most, and at least a third of that.
    std::chrono::milliseconds quiet{400};

    /// One in so many is stopped for up to `stand_still`, instead of killed; 0: none.
    unsigned stop_one_in = 4;
    std::chrono::milliseconds stand_still{800};

    /// One in so many is of the server that all share; 0: none.
    unsigned server_one_in = 0;
    std::function<void()> kill_server{};

    /// Called in each process, with the member's number.
    std::function<std::unique_ptr<BehindWriter>(std::size_t)> make{};
};

struct KillReport {
    std::vector<Note> notes{};
    std::vector<std::string> failures{};  ///< processes that ended as none should
    std::size_t killed = 0;
    std::size_t stopped = 0;
    std::size_t server_killed = 0;
};

/// Lets the processes work and die as planned, and ends them.
class Supervisor {
public:
    explicit Supervisor(const KillPlan& plan) : plan_{plan}, random_{plan.seed} {}

    KillReport run() {
        // The shared flag and the pipe come before the processes.
        Processes fleet{plan_.writers + plan_.flushers,
                        [this](Processes::Life life, std::size_t member) { work(life, member); }};
        thaw_at_.assign(fleet.size(), 0);
        const Moment end = moment() + moments(plan_.length);
        for (Moment next = moment() + pause(); moment() < end;) {
            fleet.tend(true);
            thaw(fleet, moment());
            notes_.read_to(report_.notes);
            if (moment() >= next) {
                disturb(fleet);
                next = moment() + pause();
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
        *over_ = true;
        thaw(fleet, ~Moment{0});
        const Moment latest = moment() + moments(std::chrono::minutes{1});
        while (fleet.tend(false) && moment() < latest) {
            notes_.read_to(report_.notes);  // or they would wait for us
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
        fleet.join(std::chrono::milliseconds{1});
        notes_.read_to(report_.notes);
        report_.failures = fleet.failures();
        report_.killed = fleet.killed();
        return std::move(report_);
    }

private:
    Moment pause() {
        const auto most = static_cast<std::uint64_t>(moments(plan_.quiet));
        return most / 3 + random_() % (most - most / 3);
    }
    bool one_in(unsigned of) { return of != 0 && random_() % of == 0; }

    void disturb(Processes& fleet) {
        const std::size_t chosen = random_() % fleet.size();
        if (one_in(plan_.server_one_in)) {
            plan_.kill_server();
            ++report_.server_killed;
        } else if (one_in(plan_.stop_one_in)) {
            fleet.freeze(chosen);
            thaw_at_[chosen] = moment() + 1 + random_() % moments(plan_.stand_still);
            ++report_.stopped;
        } else {
            fleet.kill(chosen);
        }
    }
    void thaw(Processes& fleet, Moment now) {
        for (std::size_t i = 0; i < fleet.size(); ++i) {
            if (thaw_at_[i] != 0 && thaw_at_[i] <= now) {
                fleet.thaw(i);
                thaw_at_[i] = 0;
            }
        }
    }

    // ---- in a process of its own ----

    void work(Processes::Life life, std::size_t member) {
        const std::unique_ptr<BehindWriter> writer = plan_.make(member);
        if (member < plan_.writers) {
            write(*writer, life, member);
        }
        while (!*over_) {
            std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
    }
    void write(BehindWriter& writer, Processes::Life life, std::size_t member) {
        std::mt19937_64 random{plan_.seed * 1000 + life};
        const auto below = [&](int bound) {
            return static_cast<int>(random() % static_cast<unsigned>(bound));
        };
        for (std::uint64_t count = 1; !*over_; ++count) {
            Note note{plan_.seed << 48U | (std::uint64_t{life} + 1) << 32U | count,
                      static_cast<int>(member) * plan_.keys +
                          below(below(2) == 0 ? plan_.hot_keys : plan_.keys),
                      Note::Kind::begun, below(4) == 0};
            notes_.tell(note);
            const auto value =
                note.removes ? std::nullopt : std::optional{value_of(note.key, note.number)};
            try {
                writer.write(note.key, value);
                note.kind = Note::Kind::acknowledged;
                notes_.tell(note);
                if (below(4) == 0) {
                    writer.check(note.key, value);
                }
            } catch (const std::logic_error&) {
                throw;
            } catch (const std::exception&) {
                std::this_thread::sleep_for(std::chrono::milliseconds{5});  // a server is away
            }
            std::this_thread::sleep_for(
                std::chrono::microseconds{below(static_cast<int>(plan_.rest.count()) + 1)});
        }
    }

    const KillPlan& plan_;
    std::mt19937_64 random_;
    const Shared<std::atomic<bool>> over_{false};
    NotePipe notes_{};
    std::vector<Moment> thaw_at_{};
    KillReport report_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_SUPERVISOR_HPP
