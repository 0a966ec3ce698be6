// SPDX-License-Identifier: MIT

/// @file
/// A database table whose rows carry versions, tombstones too, and a journal that can be stopped and
/// broken: what write-behind is tested with.

#ifndef LARDER_TESTS_SUPPORT_VERSIONED_TABLE_HPP
#define LARDER_TESTS_SUPPORT_VERSIONED_TABLE_HPP

#include <larder/larder.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder_test {

/// A versioned table with tombstones, as the fence needs it.
struct Rows {
    struct Row {
        std::optional<int> value{};
        std::uint64_t version{0};
    };
    std::mutex mutex{};
    std::map<int, Row> rows{};
    std::atomic<int> writes{0};
    std::atomic<int> poison{-1};
    std::atomic<bool> down{false};
    std::function<void(int, const std::optional<int>&)> before_write{};

    std::optional<int> load(int key) {
        const std::scoped_lock lock{mutex};
        const auto at = rows.find(key);
        return at == rows.end() ? std::nullopt : at->second.value;
    }
    bool save(int key, int value, std::uint64_t version) { return apply(key, value, version); }
    bool remove(int key, std::uint64_t version) { return apply(key, std::nullopt, version); }

    bool apply(int key, std::optional<int> value, std::uint64_t version) {
        if (before_write) {
            before_write(key, value);
        }
        if (down || key == poison) {
            throw std::runtime_error{"the database will not have " + std::to_string(key)};
        }
        const std::scoped_lock lock{mutex};
        ++writes;
        Row& row = rows.try_emplace(key).first->second;
        if (row.version > version) {
            return false;
        }
        row = {value, version};
        return true;
    }
};

/// The same, in batches of which one poison row spoils all.
struct BatchRows : Rows {
    std::atomic<int> batches{0};

    std::vector<bool> save_many(std::span<const larder::Change<int, int>> changes) {
        ++batches;
        for (const auto& change : changes) {
            if (change.key == poison) {
                throw std::runtime_error{"the batch has a poison row"};
            }
        }
        std::vector<bool> applied;
        for (const auto& change : changes) {
            applied.push_back(apply(change.key, change.value, change.version));
        }
        return applied;
    }
};

/// A journal in memory with a hook at each function, by its name: it may wait, look, or throw.
template <class C = larder::SteadyClock>
class HookedJournal : public larder::MemoryJournal<int, int, C> {
    using Base = larder::MemoryJournal<int, int, C>;
    using Mine = larder::Claimed<int, int>;

public:
    using Hook = std::function<void(std::string_view)>;

    explicit HookedJournal(C clock = {}) : Base{clock} {}

    /// Called at the beginning of each function; set before the policy is made.
    [[nodiscard]] Hook& before() const { return hooks_->before; }
    /// Called at the end of `record` and `pending`, and of a `claim` that gives something.
    [[nodiscard]] Hook& after() const { return hooks_->after; }

    std::uint64_t record(const larder::Change<int, int>& change) {
        run(before(), "record");
        const auto version = Base::record(change);
        run(after(), "record");
        return version;
    }
    std::optional<larder::Change<int, int>> pending(int key) const {
        run(before(), "pending");
        auto change = Base::pending(key);
        run(after(), "pending");
        return change;
    }
    std::vector<Mine> claim(std::size_t max, larder::Ttl life, larder::Ttl age) {
        run(before(), "claim");
        auto claims = Base::claim(max, life, age);
        if (!claims.empty()) {
            run(after(), "claim");
        }
        return claims;
    }
    void renew(std::span<const Mine> claims, larder::Ttl life) {
        run(before(), "renew");
        Base::renew(claims, life);
    }
    std::vector<bool> settle(std::span<const Mine> claims) {
        run(before(), "settle");
        return Base::settle(claims);
    }
    void defer(const Mine& mine, larder::Ttl delay) {
        run(before(), "defer");
        Base::defer(mine, delay);
    }
    bool bury(const Mine& mine, std::string_view why) {
        run(before(), "bury");
        return Base::bury(mine, why);
    }
    std::vector<larder::DeadLetter<int, int>> dead_letters() const {
        run(before(), "dead_letters");
        return Base::dead_letters();
    }
    bool revive(int key) {
        run(before(), "revive");
        return Base::revive(key);
    }
    bool discard(int key) {
        run(before(), "discard");
        return Base::discard(key);
    }
    std::size_t size() const {
        run(before(), "size");
        return Base::size();
    }
    std::optional<larder::Ttl> oldest() const {
        run(before(), "oldest");
        return Base::oldest();
    }

private:
    static void run(const Hook& hook, std::string_view function) {
        if (hook) {
            hook(function);
        }
    }

    struct Hooks {
        Hook before{};
        Hook after{};
    };
    std::shared_ptr<Hooks> hooks_ = std::make_shared<Hooks>();
};

/// For a HookedJournal: the functions that are broken now.
class Broken {
public:
    void set(std::set<std::string, std::less<>> functions) {
        const std::scoped_lock lock{mutex_};
        functions_ = std::move(functions);
    }
    void operator()(std::string_view function) const {
        const std::scoped_lock lock{mutex_};
        if (functions_.contains(function)) {
            throw larder::StoreError{larder::Errc::store_failed,
                                     "the journal cannot " + std::string{function}};
        }
    }

private:
    mutable std::mutex mutex_{};
    std::set<std::string, std::less<>> functions_{};
};

/// Collects what an observer is told.
class Events {
public:
    [[nodiscard]] larder::Observer observer() {
        return [this](const larder::Event& event) {
            const std::scoped_lock lock{mutex_};
            events_.push_back(event);
        };
    }
    [[nodiscard]] std::size_t count(larder::EventKind kind) const {
        const std::scoped_lock lock{mutex_};
        std::size_t n = 0;
        for (const auto& event : events_) {
            n += event.kind == kind ? 1U : 0U;
        }
        return n;
    }
    /// The text of the last such event's error.
    [[nodiscard]] std::string text(larder::EventKind kind) const {
        const std::scoped_lock lock{mutex_};
        std::string last;
        for (const auto& event : events_) {
            if (event.kind == kind && event.error) {
                try {
                    std::rethrow_exception(event.error);
                } catch (const std::exception& error) {
                    last = error.what();
                }
            }
        }
        return last;
    }

private:
    mutable std::mutex mutex_{};
    std::vector<larder::Event> events_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_VERSIONED_TABLE_HPP
