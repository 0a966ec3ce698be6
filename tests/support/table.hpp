// SPDX-License-Identifier: MIT

/// @file
/// A database table for tests: counts its statements and can be stopped at every step of one.

#ifndef LARDER_TESTS_SUPPORT_TABLE_HPP
#define LARDER_TESTS_SUPPORT_TABLE_HPP

#include <larder/larder.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

namespace larder_test {

/// The database said no: nothing was written.
struct Refused : std::runtime_error, larder::NotWritten {
    using std::runtime_error::runtime_error;
};

/// Rows by key, with a hook before and after the moment at which each statement takes effect.
template <class K = int, class V = int>
class Table {
public:
    struct Hooks {
        std::function<void(const K&)> before_load{}, after_load{};
        std::function<void(const K&, const std::optional<V>&)> before_commit{}, after_commit{};
    };

    Hooks hooks{};
    std::atomic<int> loads{0};
    std::atomic<int> saves{0};

    std::optional<V> load(const K& key) {
        ++loads;
        run(hooks.before_load, key);
        std::optional<V> row;
        {
            const std::scoped_lock lock{mutex_};
            if (const auto at = rows_.find(key); at != rows_.end()) {
                row = at->second;
            }
        }
        run(hooks.after_load, key);
        return row;
    }

    void save(const K& key, const V& value) { commit(key, value); }
    void remove(const K& key) { commit(key, std::nullopt); }

    /// What another program does: past the library, not counted, no hooks.
    void set(const K& key, std::optional<V> value) {
        const std::scoped_lock lock{mutex_};
        if (value) {
            rows_.insert_or_assign(key, *value);
        } else {
            rows_.erase(key);
        }
    }

    std::optional<V> row(const K& key) {
        const std::scoped_lock lock{mutex_};
        const auto at = rows_.find(key);
        return at == rows_.end() ? std::nullopt : std::optional<V>{at->second};
    }

private:
    void commit(const K& key, const std::optional<V>& value) {
        ++saves;
        run(hooks.before_commit, key, value);
        set(key, value);
        run(hooks.after_commit, key, value);
    }

    template <class Hook, class... Args>
    static void run(const Hook& hook, const Args&... args) {
        if (const Hook mine = hook) {  // which may set another in its place
            mine(args...);
        }
    }

    std::mutex mutex_{};
    std::map<K, V> rows_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_TABLE_HPP
