// SPDX-License-Identifier: MIT

/// @file
/// A SqliteJournal of bytes: all of it that does not know keys and values.

#ifndef LARDER_JOURNAL_DETAIL_SQLITE_CORE_HPP
#define LARDER_JOURNAL_DETAIL_SQLITE_CORE_HPP

#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/journal/detail/group_commit.hpp>
#include <larder/journal/detail/sqlite_connection.hpp>
#include <larder/journal/detail/sqlite_rows.hpp>
#include <larder/journal/detail/sqlite_steps.hpp>
#include <larder/journal/journal.hpp>
#include <larder/journal/sqlite_options.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// A journal whose keys are texts and whose values are bytes.
///
/// What changes the rows goes through a GroupCommit, and into memory once it is on the disk. What does
/// not (what is pending, claims, what is due) asks memory alone: it does not wait for the disk.
///
/// Thread safety: all members may run concurrently.
class SqliteCore {
    // What fails says where, and what was not done.
    template <class Act>
    auto named(const std::string& what, Act&& act) const {
        try {
            return act();
        } catch (const SqliteFailure& failure) {
            throw StoreError{path_ + ": " + what + ": " + failure.what()};
        }
    }

public:
    using Bytes = std::optional<std::string>;
    using Claim = SqliteMemory::Claim;
    using Now = std::function<std::chrono::steady_clock::time_point()>;

    /// Opens the file, or makes it, and reads what is pending.
    ///
    /// @throws StoreError  it cannot be opened, is no journal, or another has it
    /// @throws std::invalid_argument  the path or an option makes no sense
    SqliteCore(std::string path, const SqliteJournalOptions& options, Now now)
        : path_{std::move(path)},
          memory_{.clock = {std::move(now)}},
          rows_{named("it cannot be opened", [&] {
              if (path_.find('\0') != std::string::npos) {  // SQLite would open another file
                  refuse_option("SqliteJournal::path", "without a zero byte", "not");
              }
              validate(options);
              return SqliteRows{path_, options.wait};
          })} {
        named("it cannot be read", [&] { load(); });
    }
    SqliteCore(const SqliteCore&) = delete;
    SqliteCore& operator=(const SqliteCore&) = delete;
    ~SqliteCore() {
        try {
            keep_attempts();
        } catch (...) {
            // Whoever opens the file next tries those changes more often.
        }
    }

    /// @copydoc BoundedJournal
    std::optional<std::uint64_t> record(const std::string& key, Bytes& value, std::size_t most) {
        RecordStep step{memory_, key, value, most};
        carry_out(step, "the change of key " + key + " is not recorded");
        return step.version();
    }
    /// @copydoc Journal
    [[nodiscard]] std::optional<Change<std::string, std::string>> pending(const std::string& key) {
        return memory_.state.pending(key);
    }
    [[nodiscard]] std::vector<Claim> claim(std::size_t max, Ttl life, Ttl age) {
        return memory_.state.claim(max, life, age, memory_.clock);
    }
    void renew(std::span<const Claim> claims, Ttl life) {
        memory_.state.renew(claims, life, memory_.clock);
    }
    [[nodiscard]] std::vector<bool> settle(std::span<const Claim> claims) {
        if (claims.empty()) {
            return {};
        }
        SettleStep step{memory_, claims};
        carry_out(step, "the change of key " + claims.front().change.key + " is not settled");
        return std::move(step).settled();
    }
    void defer(const Claim& mine, Ttl delay) { memory_.state.defer(mine, delay, memory_.clock); }
    bool bury(const Claim& mine, std::string_view why) {
        BuryStep step{memory_, mine, why};
        carry_out(step, "the change of key " + mine.change.key + " is not buried");
        return step.buried();
    }
    [[nodiscard]] std::vector<DeadLetter<std::string, std::string>> dead_letters() {
        return named("the dead letters cannot be read",
                     [&] { return group_.look([](SqliteRows& rows) { return rows.letters(); }); });
    }
    [[nodiscard]] std::size_t buried() {
        return named("the dead letters cannot be counted",
                     [&] { return group_.look([](SqliteRows& rows) { return rows.buried(); }); });
    }
    bool revive(const std::string& key) {
        ReviveStep step{memory_, key};
        carry_out(step, "the dead letter of key " + key + " is not revived");
        return step.revived();
    }
    bool discard(const std::string& key) {
        DiscardStep step{key};
        carry_out(step, "the dead letter of key " + key + " is not discarded");
        return step.discarded();
    }
    [[nodiscard]] std::size_t size() const noexcept { return memory_.state.size(); }
    [[nodiscard]] std::optional<Ttl> oldest() { return memory_.state.oldest(memory_.clock); }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    void carry_out(SqliteStep& step, const std::string& what) {
        named(what, [&] { group_.carry_out(step); });
    }

    void load() {
        const auto now = memory_.clock.now();
        const std::int64_t today = SqliteRows::now();
        rows_.load([&](SqliteChange each) {
            if (memory_.version_of(each.change.key) != 0) {
                return false;
            }
            auto made = memory_.prepare(each.change.key);
            made->value.swap(each.change.value);
            made->version = each.change.version;
            made->attempts = each.attempts;
            made->failed = SqliteRows::time_of_day(each.first);
            // A clock that was set back makes nobody wait.
            const std::int64_t age =
                today - (std::min)((std::max)(each.since, std::int64_t{0}), today);
            const auto whole = std::chrono::duration_cast<Ttl>(std::chrono::nanoseconds{age});
            SqliteMemory::Part& part = memory_.part_of(each.change.key);
            const std::scoped_lock lock{part.mutex};
            memory_.insert(part, std::move(made), later(now, -whole));
            return true;
        });
    }

    // A try that failed is not worth a wait for the disk: all are written when the file is closed.
    void keep_attempts() {
        rows_.begin();
        memory_.state.each([&](const SqliteMemory::Part& part) {
            part.each([&](const SqliteMemory::Node& node) {
                if (node.attempts > 0) {
                    rows_.tried(static_cast<std::int64_t>(node.version), node.attempts,
                                SqliteRows::nanoseconds(node.failed));
                }
            });
        });
        rows_.commit();
    }

    const std::string path_;
    SqliteMemory memory_;
    SqliteRows rows_;
    GroupCommit group_{rows_};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_JOURNAL_DETAIL_SQLITE_CORE_HPP
