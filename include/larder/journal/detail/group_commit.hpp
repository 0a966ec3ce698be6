// SPDX-License-Identifier: MIT

/// @file
/// Many steps of many threads, in one transaction.

#ifndef LARDER_JOURNAL_DETAIL_GROUP_COMMIT_HPP
#define LARDER_JOURNAL_DETAIL_GROUP_COMMIT_HPP

#include <larder/journal/detail/sqlite_connection.hpp>
#include <larder/journal/detail/sqlite_rows.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <sqlite3.h>

LARDER_NS_BEGIN

namespace detail {

/// What a caller wants to have done to the rows, and then to what is known of them in memory.
class SqliteStep {
public:
    SqliteStep() = default;
    SqliteStep(const SqliteStep&) = delete;
    SqliteStep& operator=(const SqliteStep&) = delete;

    /// Whether it must be on the disk, and not only outlive the process, when it is carried out.
    [[nodiscard]] virtual bool lasting() const noexcept { return true; }
    /// In a transaction, which may fail and be undone: then it is called again, or never.
    virtual void run(SqliteRows& rows) = 0;
    /// The transaction is committed. Steps are told in the order in which they were run.
    virtual void publish() noexcept = 0;

    std::exception_ptr failure{};

protected:
    ~SqliteStep() = default;
};

/// One wait for the disk serves all who have come while the last one went on (group commit: DeWitt et
/// al., SIGMOD 1984). The first of them carries out the steps of all, as soon as it has the rows: no
/// thread of the library's own is needed.
///
/// Thread safety: all members may run concurrently.
class GroupCommit {
public:
    explicit GroupCommit(SqliteRows& rows) noexcept : rows_{rows} {}

    /// Returns when the step is published, and, if it is to be lasting, on the disk.
    ///
    /// @throws what it has thrown, or SqliteFailure: then it is undone
    void carry_out(SqliteStep& step) {
        const auto [group, leads] = join(step);
        if (leads) {
            const std::scoped_lock lock{rows_in_use_};
            close();
            commit(group->steps);
            group->done.set_value();
        } else {
            group->ended.wait();
        }
        if (step.failure) {
            std::rethrow_exception(step.failure);
        }
    }

    /// Calls `look(rows)` while no step is under way.
    template <class Look>
    auto look(Look&& look) {
        const std::scoped_lock lock{rows_in_use_};
        return look(rows_);
    }

private:
    struct Group {
        std::vector<SqliteStep*> steps{};
        std::promise<void> done{};  // a std::atomic's wait spins before it waits
        const std::shared_future<void> ended{done.get_future()};
    };

    // Who comes first leads. If there is no memory, it has not come.
    std::pair<std::shared_ptr<Group>, bool> join(SqliteStep& step) {
        const std::scoped_lock lock{gathering_in_use_};
        if (!gathering_) {
            gathering_ = std::make_shared<Group>();
        }
        gathering_->steps.push_back(&step);
        return {gathering_, gathering_->steps.size() == 1};
    }
    // Who comes from now on belongs to the next.
    void close() noexcept {
        const std::scoped_lock lock{gathering_in_use_};
        gathering_.reset();
    }

    // What fails together is done one by one, so that who is to blame fails alone; and again where room
    // could be made.
    void commit(std::span<SqliteStep* const> steps) noexcept {
        const int code = commit_together(steps);
        if (code == SQLITE_FULL) {
            rows_.reuse_log();
        }
        if (code != SQLITE_OK && (steps.size() > 1 || code == SQLITE_FULL)) {
            for (SqliteStep* const& step : steps) {
                commit_together({&step, 1});
            }
        }
    }
    // Why it has failed, if it has.
    int commit_together(std::span<SqliteStep* const> steps) noexcept {
        const auto failed = [&](int code) {
            for (SqliteStep* const step : steps) {
                step->failure = std::current_exception();
            }
            rows_.roll_back();
            return code;
        };
        try {
            rows_.begin(std::any_of(steps.begin(), steps.end(),
                                    [](const SqliteStep* step) { return step->lasting(); }));
            for (SqliteStep* const step : steps) {
                step->run(rows_);
            }
            rows_.commit();
        } catch (const SqliteFailure& failure) {
            return failed(failure.kind());
        } catch (...) {
            return failed(SQLITE_ERROR);
        }
        for (SqliteStep* const step : steps) {
            step->failure = nullptr;
            step->publish();
        }
        return SQLITE_OK;
    }

    SqliteRows& rows_;
    std::mutex rows_in_use_{};
    std::mutex gathering_in_use_{};
    std::shared_ptr<Group> gathering_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_JOURNAL_DETAIL_GROUP_COMMIT_HPP
