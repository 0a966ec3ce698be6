// SPDX-License-Identifier: MIT

/// @file
/// Readers and writers of one key that move a step at a time, whoever's turn it is.

#ifndef LARDER_TESTS_SUPPORT_ORDER_ACTORS_HPP
#define LARDER_TESTS_SUPPORT_ORDER_ACTORS_HPP

#include <larder/clock.hpp>
#include <larder/detail/core.hpp>
#include <larder/detail/read/loads.hpp>
#include <larder/detail/read/lookup.hpp>
#include <larder/detail/read/read_run.hpp>
#include <larder/detail/write/open_write.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/executor.hpp>
#include <larder/options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

inline constexpr int the_key = 1;

/// What a step of an actor can do wrong, once.
enum class Flaw : std::uint8_t {
    none,
    load_throws,      ///< a reader's load
    not_kept,         ///< a reader's load brings what is not to be kept
    gives_up,         ///< a reader goes as soon as it would have to wait
    dies,             ///< whoever it is goes without a word, at its `flaw_at`-th step
    nothing_written,  ///< a writer's save, which says so
    unknown,          ///< a writer's save throws, and has written nothing
    unknown_written,  ///< a writer's save throws, and has written
    unknown_late,     ///< a writer's save throws, and writes when it is long forgotten
};

/// What happened at the one key, and the rule that it is held to: whoever has returned vouches for a
/// version, and no read that begins afterwards returns an older one. For what was written behind the
/// cache's back only its invalidation vouches, and a reload that has seen it.
class Register {
public:
    [[nodiscard]] int written() const noexcept { return written_; }
    int write() noexcept { return ++written_; }
    int write_untold() {
        untold_.push_back(++written_);
        return written_;
    }

    /// The oldest version that what begins now may see.
    [[nodiscard]] int oldest() const noexcept { return oldest_; }

    /// @throws std::logic_error  no order explains it
    void has_read(int since, int version) {
        if (version < since || version > written_) {
            throw std::logic_error{"read version " + std::to_string(version) + ", not one of " +
                                   std::to_string(since) + " to " + std::to_string(written_)};
        }
        if (std::find(untold_.begin(), untold_.end(), version) == untold_.end()) {
            vouch(version);
        }
    }
    void told(int version) {
        std::erase(untold_, version);
        vouch(version);
    }
    void vouch(int version) noexcept { oldest_ = (std::max)(oldest_, version); }

private:
    int written_ = 1;
    int oldest_ = 1;
    std::vector<int> untold_{};
};

/// The source of truth: gives the version, and throws when it is told to.
class Versions {
public:
    struct State {
        Register history{};
        bool next_load_fails = false;
        bool next_load_is_not_kept = false;
    };

    explicit Versions(std::shared_ptr<State> state) : state_{std::move(state)} {}

    [[nodiscard]] larder::Loaded<int> load(int) const {
        if (std::exchange(state_->next_load_fails, false)) {
            throw std::runtime_error{"the load fails"};
        }
        larder::Loaded<int> loaded{state_->history.written()};
        if (std::exchange(state_->next_load_is_not_kept, false)) {
            loaded.ttl = larder::Ttl{0};
        }
        return loaded;
    }
    void save(int, int) const {}
    void remove(int) const {}

private:
    std::shared_ptr<State> state_;
};

struct NothingWritten : std::runtime_error, larder::NotWritten {
    NothingWritten() : std::runtime_error{"nothing was written"} {}
};

/// One store, one database, one policy, and tasks that nobody has carried out yet.
template <class Store>
struct OrderWorld {
    using Core = larder::detail::Core<Store, Versions>;

    OrderWorld(Store store, larder::Options options, larder::ManualClock time = {})
        : clock{std::move(time)},
          core{std::move(store), Versions{truth}, with_executor(std::move(options))} {}

    [[nodiscard]] Register& history() const noexcept { return truth->history; }

    std::shared_ptr<Versions::State> truth = std::make_shared<Versions::State>();
    std::shared_ptr<std::vector<larder::Task>> tasks =
        std::make_shared<std::vector<larder::Task>>();
    larder::ManualClock clock;
    Core core;

private:
    larder::Options with_executor(larder::Options options) {
        options.executor = larder::Executor{
            [held = tasks](larder::Task task) { held->push_back(std::move(task)); }};
        return options;
    }
};

/// Somebody who moves by steps.
class Actor {
public:
    Actor() = default;
    Actor(const Actor&) = delete;
    Actor& operator=(const Actor&) = delete;
    virtual ~Actor() = default;

    [[nodiscard]] virtual bool done() const = 0;
    /// Whether its next step would not block.
    [[nodiscard]] virtual bool ready() const { return true; }
    virtual void step() = 0;

    /// It has one flaw, if any.
    void flawed(Flaw flaw, std::size_t at = 0) noexcept {
        flaw_ = flaw;
        flaw_at_ = at;
    }

protected:
    [[nodiscard]] bool has(Flaw flaw) const noexcept { return flaw_ == flaw; }
    /// True at the step at which it is to go without a word.
    [[nodiscard]] bool dies_now() noexcept { return has(Flaw::dies) && steps_++ == flaw_at_; }

private:
    Flaw flaw_ = Flaw::none;
    std::size_t flaw_at_ = 0;
    std::size_t steps_ = 0;
};

/// A read: the look for a copy, then the steps of a miss; or a reload, or a background refresh.
template <class Store>
class Reader final : public Actor {
    using World = OrderWorld<Store>;
    using Core = typename World::Core;
    using Load = larder::detail::OwnLoad<Core>;
    using Act = larder::detail::ReadAct;
    using Kind = larder::detail::ReadKind;

public:
    /// @param on_executor  the caller may give up, and so the executor loads
    explicit Reader(World& world, Kind kind = Kind::miss, bool on_executor = false)
        : world_{world}, kind_{kind}, on_executor_{on_executor}, load_{&world.core} {}

    [[nodiscard]] bool done() const override { return done_; }

    [[nodiscard]] bool ready() const override {
        return !waits() || run_->awaited()->over() || has(Flaw::gives_up) || has(Flaw::dies);
    }

    void step() override {
        if (dies_now()) {
            run_.reset();
            done_ = true;
        } else if (!began_) {
            begin();
        } else if (waits() && !run_->awaited()->over()) {
            if (has(Flaw::gives_up)) {
                go_on(run_->waited(next_.act, larder::detail::WaitEnd::cancelled));
            }
        } else if (next_.last()) {
            end();
        } else {
            carry_out();
        }
    }

private:
    [[nodiscard]] bool waits() const {
        if (!run_ || done_) {
            return false;
        }
        switch (next_.act) {
            case Act::wait_underway:
            case Act::wait_flight:
            case Act::wait_queued:
            case Act::wait_bypass:
            case Act::wait_predecessor:
            case Act::wait_ahead: return true;
            default: return false;
        }
    }

    void begin() {
        began_ = true;
        since_ = world_.history().oldest();
        Core& core = world_.core;
        larder::detail::Patience patience{};
        if (on_executor_) {
            patience.stop = stop_.get_token();
        }
        if (kind_ != Kind::miss) {
            run_.emplace(core, key_, load_);
            go_on(run_->begin(kind_, patience));
            return;
        }
        larder::detail::Lookup<Core> lookup;
        std::optional<int> version;
        const auto take = [&](const int* value, auto&&...) { version = *value; };
        if (lookup.find(core, key_, take, [] {})) {
            has_read(*version);
            return;
        }
        run_.emplace(core, key_, load_);
        go_on(run_->begin(std::move(lookup), patience));
    }

    void carry_out() {
        const bool loads = next_.act == Act::load_leased || next_.act == Act::load_bypass ||
                           next_.act == Act::load_alone;
        if (loads) {
            world_.truth->next_load_fails = has(Flaw::load_throws);
            world_.truth->next_load_is_not_kept = has(Flaw::not_kept);
        }
        try {
            go_on(run_->carry_out(next_));
        } catch (const larder::StoreError&) {
            if (kind_ != Kind::refresh) {
                throw;
            }
            run_.reset();
            done_ = true;
        }
    }

    // What ends without touching anything ends at once; who has loaded tells the others first.
    void go_on(larder::detail::ReadStep next) {
        next_ = next;
        if (next_.last() && next_.act != Act::give_loaded) {
            end();
        }
    }

    void end() {
        try {
            const larder::Fetched<int> fetched = run_->end(next_);
            if (kind_ != Kind::refresh) {
                has_read(fetched.value.value());
            }
        } catch (const std::logic_error&) {
            throw;
        } catch (const std::exception&) {
            // The read fails, and that says nothing.
        }
        run_.reset();
        done_ = true;
    }

    void has_read(int version) {
        done_ = true;
        world_.history().has_read(since_, version);
        if (kind_ == Kind::reload) {
            world_.history().vouch(version);
        }
    }

    World& world_;
    const int key_ = the_key;
    const Kind kind_;
    const bool on_executor_;
    const Load load_;
    std::stop_source stop_{};
    std::optional<larder::detail::ReadRun<Core, Load>> run_{};
    larder::detail::ReadStep next_{};
    int since_ = 0;
    bool began_ = false;
    bool done_ = false;
};

/// A write through the policy: begin, save, finish.
template <class Store>
class Writer final : public Actor {
    using World = OrderWorld<Store>;
    using Step = larder::detail::WriteStep;

public:
    Writer(World& world, larder::detail::AfterWrite after)
        : world_{world}, write_{std::in_place, world.core, key_, after} {}

    [[nodiscard]] bool done() const override { return done_ && !late_; }
    /// Its outcome is not known to anybody.
    [[nodiscard]] bool unknown() const noexcept { return unknown_; }

    void step() override {
        if (done_) {
            late_ = false;
            commit();
            return;
        }
        if (dies_now()) {
            unknown_ = write_->next() == Step::save && saving_;
            write_.reset();
            done_ = true;
            return;
        }
        write_->step([this] { return save(); });
        if (write_->next() == Step::done) {
            end();
        }
    }

private:
    const int* save() {
        saving_ = true;
        if (has(Flaw::nothing_written)) {
            throw NothingWritten{};
        }
        if (has(Flaw::unknown) || has(Flaw::unknown_written) || has(Flaw::unknown_late)) {
            unknown_ = true;
            late_ = has(Flaw::unknown_late);
            if (has(Flaw::unknown_written)) {
                commit();
            }
            throw std::runtime_error{"connection lost"};
        }
        row_ = world_.history().write();
        return &row_;
    }

    // Until it is known what has become of it, the key is served from the database.
    void commit() { world_.history().vouch(world_.history().write()); }

    void end() {
        done_ = true;
        try {
            write_->rethrow();
            world_.history().vouch(row_);
        } catch (const std::exception&) {
            // It failed: nobody vouches for it.
        }
        write_.reset();
    }

    World& world_;
    const int key_ = the_key;
    int row_ = 0;
    bool saving_ = false;
    bool unknown_ = false;
    bool late_ = false;
    bool done_ = false;
    std::optional<larder::detail::OpenWrite<typename World::Core>> write_;
};

/// Somebody changes the database behind the cache's back, and then says so.
///
/// @tparam Say  called with the world
template <class Store, class Say>
class Outsider final : public Actor {
public:
    Outsider(OrderWorld<Store>& world, Say say) : world_{world}, say_{std::move(say)} {}

    [[nodiscard]] bool done() const override { return steps_ == 2; }
    void step() override {
        if (steps_++ == 0) {
            version_ = world_.history().write_untold();
            return;
        }
        try {
            say_(world_);
            world_.history().told(version_);
        } catch (const larder::StoreError&) {
            // It was told that nothing is sure.
        }
    }

private:
    OrderWorld<Store>& world_;
    Say say_;
    int version_ = 0;
    int steps_ = 0;
};

/// Does one thing.
///
/// @tparam Do  called with the world
template <class Store, class Do>
class Once final : public Actor {
public:
    Once(OrderWorld<Store>& world, Do act) : world_{world}, act_{std::move(act)} {}

    [[nodiscard]] bool done() const override { return done_; }
    void step() override {
        done_ = true;
        act_(world_);
    }

private:
    OrderWorld<Store>& world_;
    Do act_;
    bool done_ = false;
};

/// What becomes of tasks.
enum class Fate : std::uint8_t { run, thrown_away };

/// An executor's thread: a task is one step, and must not wait for anybody.
template <class Store>
class Tasks final : public Actor {
public:
    Tasks(OrderWorld<Store>& world, const Actor& reader, Fate fate)
        : world_{world}, reader_{reader}, fate_{fate} {}

    [[nodiscard]] bool done() const override { return reader_.done() && world_.tasks->empty(); }
    [[nodiscard]] bool ready() const override { return !world_.tasks->empty(); }
    void step() override {
        const larder::Task task = std::move(world_.tasks->back());
        world_.tasks->pop_back();
        if (fate_ == Fate::run) {
            task();
        }
    }

private:
    OrderWorld<Store>& world_;
    const Actor& reader_;
    const Fate fate_;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_ORDER_ACTORS_HPP
