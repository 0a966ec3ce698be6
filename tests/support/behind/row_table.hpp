// SPDX-License-Identifier: MIT

/// @file
/// A table of a real database whose rows have versions, those of removed rows too, and that notes
/// whatever ever happened to a row: what the tests of durable journals write to.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_ROW_TABLE_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_ROW_TABLE_HPP

#include <larder/entry.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace larder_test {

using RowChange = larder::Change<int, std::string>;

/// What a trigger of the database has noted, in the order in which one key's rows were changed.
struct RowStep {
    int key = 0;
    std::uint64_t version = 0;
};

/// One connection. The rows stand in one table, the version of each key in another, which outlives its
/// row: both change in one transaction, the version first, so that two writers of a key meet there.
///
/// Thread safety: one thread; each process opens its own.
class RowTable {
public:
    RowTable() = default;
    RowTable(const RowTable&) = delete;
    RowTable& operator=(const RowTable&) = delete;
    virtual ~RowTable() = default;

    virtual std::optional<std::string> load(int key) = 0;

    /// In one transaction. @return whether each was applied, or its key had a newer version
    virtual std::vector<bool> save_many(std::span<const RowChange> changes) = 0;

    virtual std::map<int, std::string> rows() = 0;
    virtual std::vector<RowStep> history() = 0;
};

using OpenRowTable = std::function<std::unique_ptr<RowTable>()>;

/// A versioned repository over connections that its callers' threads take turns with. A cheap handle.
///
/// Thread safety: all members may run concurrently.
class RowRepository {
public:
    explicit RowRepository(OpenRowTable open) : pool_{std::make_shared<Pool>()} {
        pool_->open = std::move(open);
    }

    /// Called before each transaction, with its changes.
    std::function<void(std::span<const RowChange>)>& before_write() const {
        return pool_->before_write;
    }

    std::optional<std::string> load(int key) const {
        return with_table([&](RowTable& table) { return table.load(key); });
    }
    bool save(int key, const std::string& value, std::uint64_t version) const {
        const RowChange change{key, value, version};
        return save_many({&change, 1}).front();
    }
    bool remove(int key, std::uint64_t version) const {
        const RowChange change{key, std::nullopt, version};
        return save_many({&change, 1}).front();
    }
    std::vector<bool> save_many(std::span<const RowChange> changes) const {
        if (pool_->before_write) {
            pool_->before_write(changes);
        }
        return with_table([&](RowTable& table) { return table.save_many(changes); });
    }

private:
    struct Pool {
        OpenRowTable open{};
        std::function<void(std::span<const RowChange>)> before_write{};
        std::mutex mutex{};
        std::vector<std::unique_ptr<RowTable>> idle{};
    };

    template <class F>
    std::invoke_result_t<F&, RowTable&> with_table(F&& f) const {
        std::unique_ptr<RowTable> table;
        {
            const std::scoped_lock lock{pool_->mutex};
            if (!pool_->idle.empty()) {
                table = std::move(pool_->idle.back());
                pool_->idle.pop_back();
            }
        }
        if (!table) {
            table = pool_->open();
        }
        auto result = f(*table);  // one that threw is not used again
        const std::scoped_lock lock{pool_->mutex};
        pool_->idle.push_back(std::move(table));
        return result;
    }

    std::shared_ptr<Pool> pool_;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_ROW_TABLE_HPP
