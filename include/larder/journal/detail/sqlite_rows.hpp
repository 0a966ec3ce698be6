// SPDX-License-Identifier: MIT

/// @file
/// The rows of a SqliteJournal: what it keeps beyond its process.

#ifndef LARDER_JOURNAL_DETAIL_SQLITE_ROWS_HPP
#define LARDER_JOURNAL_DETAIL_SQLITE_ROWS_HPP

#include <larder/detail/support/mix.hpp>
#include <larder/entry.hpp>
#include <larder/journal/detail/sqlite_connection.hpp>
#include <larder/journal/detail/sqlite_schema.hpp>
#include <larder/journal/detail/sqlite_statement.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// A change as a file keeps it.
struct SqliteChange {
    Change<std::string, std::string> change{};
    std::int64_t since = 0;  ///< the time of day, in nanoseconds
    std::size_t attempts = 0;
    std::int64_t first = 0;  ///< when it failed for the first time
};

/// The statements of a journal. Which changes somebody has in hand, and when they are due, is not among
/// what they keep: with the process that had the file its claims are over.
///
/// Between `begin` and `commit` all of it is one step.
///
/// Thread safety: none of its own.
class SqliteRows {
public:
    using Bytes = std::optional<std::string>;

    /// Opens the file, or makes it.
    ///
    /// @throws SqliteFailure
    SqliteRows(const std::string& path, Ttl wait) : connection_{path, wait} {
        SqliteSchema::open(connection_, seal({}, 0, std::nullopt));
        statements_.emplace(connection_);
        read_versions();
    }
    SqliteRows(const SqliteRows&) = delete;
    SqliteRows& operator=(const SqliteRows&) = delete;

    // ---- a step ----

    /// @param lasting  `commit` waits until it is on the disk; else it outlives the process only
    void begin(bool lasting = true) {
        connection_.wait_for_disk(lasting);
        connection_.run("BEGIN IMMEDIATE");
        begun_.clear();
    }
    /// It is on the disk.
    void commit() {
        const std::int64_t last = last_version_;
        if (last > kept_version_) {
            statements_->keep.run(last, seal({}, last, std::nullopt));
        }
        connection_.run("COMMIT");
        kept_version_ = last;
        kept_pending_ = pending_;
    }
    /// What was begun is undone.
    void roll_back() noexcept {
        connection_.roll_back();
        pending_ = kept_pending_;
    }
    /// After a failure for want of room.
    void reuse_log() noexcept { connection_.reuse_log(); }

    // ---- what there is ----

    /// Greater than all that were ever given, and by the time of day.
    [[nodiscard]] std::int64_t next_version() noexcept {
        return last_version_ = (std::max)(last_version_ + 1, now());
    }
    /// The time of day, in nanoseconds.
    [[nodiscard]] static std::int64_t now() noexcept {
        return nanoseconds(std::chrono::system_clock::now());
    }
    [[nodiscard]] static std::int64_t nanoseconds(
        std::chrono::system_clock::time_point at) noexcept {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
    }

    /// Calls `see(SqliteChange)` for each that is pending, the oldest first; false: its key was seen
    /// before. Those, and those whose bytes are not those that were written, are dead letters from now on.
    template <class See>
    void load(See&& see) {
        std::vector<std::pair<std::string, std::int64_t>> damaged;
        SqliteStatement{connection_,
                        "SELECT key, version, value, seal, since, attempts, first FROM changes "
                        "ORDER BY since, version"}
            .each([&](const SqliteRow& row) {
                SqliteChange each = change(row);
                ++pending_;
                if (!sealed(row) || !see(std::move(each))) {
                    damaged.emplace_back(row.bytes(0), row.number(1));
                }
            });
        begin();
        const std::int64_t today = now();
        for (const auto& [key, version] : damaged) {
            statements_->letter.each([](const SqliteRow&) { throw damaged_letters(); }, key);
            bury(version, "its bytes in the file are damaged", 0, today, today);
        }
        commit();
    }
    /// The dead letters, the oldest first.
    [[nodiscard]] std::vector<DeadLetter<std::string, std::string>> letters() {
        std::vector<DeadLetter<std::string, std::string>> all;
        statements_->letters.each([&](const SqliteRow& row) {
            SqliteChange each = change(row);
            all.push_back({std::move(each.change), row.bytes(8), each.attempts,
                           time_of_day(each.first), time_of_day(row.number(7))});
        });
        return all;
    }

    /// How many dead letters there are.
    [[nodiscard]] std::size_t buried() {
        std::size_t count = 0;
        statements_->count_letters.each(
            [&](const SqliteRow& row) { count = static_cast<std::size_t>(row.number(0)); });
        return count;
    }

    // ---- changes ----

    /// How many there are, with what was done in this step.
    [[nodiscard]] std::size_t pending() const noexcept { return pending_; }

    /// The key's pending change becomes this one; false if it has none.
    ///
    /// @param known  the version of its change before this step began; 0: there was none
    bool replace(std::int64_t known, const std::string& key, std::int64_t version,
                 const Bytes& value) {
        const auto at = begun_.find(key);
        const std::int64_t was = at == begun_.end() ? known : at->second;
        if (was == 0 ||
            statements_->replace.run(was, version, value, seal(key, version, value)) == 0) {
            return false;
        }
        begun_[key] = version;
        return true;
    }
    /// The key has none: it gets one, and loses its dead letter.
    void insert(const std::string& key, std::int64_t version, const Bytes& value,
                std::int64_t since) {
        statements_->lose_letter.run(key);
        statements_->insert.run(key, version, value, seal(key, version, value), since);
        begun_[key] = version;
        ++pending_;
    }
    /// This very change is forgotten; false if it is not there.
    bool settle(std::int64_t version) {
        const bool settled = statements_->settle.run(version) > 0;
        pending_ -= settled ? 1 : 0;
        return settled;
    }
    /// This very change was tried so often.
    void tried(std::int64_t version, std::size_t attempts, std::int64_t first) {
        statements_->tried.run(version, static_cast<std::int64_t>(attempts), first);
    }

    // ---- dead letters ----

    /// This very change becomes one; false if it is not there.
    bool bury(std::int64_t version, std::string_view why, std::size_t attempts, std::int64_t first,
              std::int64_t last) {
        if (statements_->bury.run(version, static_cast<std::int64_t>(attempts), first, last, why) ==
            0) {
            return false;
        }
        return settle(version);
    }
    /// The dead letter of the key is pending again.
    ///
    /// @throws SqliteFailure  its bytes are not those that were written, too
    std::optional<SqliteChange> revive(const std::string& key, std::int64_t since) {
        std::optional<SqliteChange> revived;
        bool whole = true;
        statements_->letter.each(
            [&](const SqliteRow& row) {
                revived = change(row);
                whole = sealed(row);
            },
            key);
        if (!whole) {
            throw SqliteFailure{SQLITE_CORRUPT, "its bytes in the file are damaged"};
        }
        if (revived) {
            revived->since = since;
            insert(key, static_cast<std::int64_t>(revived->change.version), revived->change.value,
                   since);
        }
        return revived;
    }
    /// It is forgotten; false if there is none.
    bool discard(const std::string& key) { return statements_->lose_letter.run(key) > 0; }

    /// What a row says, in one number: the hash FNV-1a of 64 bits (RFC 9923), whose bits are then mixed.
    /// Disks, and who edits files, change a byte here and there, and SQLite does not see it.
    [[nodiscard]] static std::int64_t seal(std::string_view key, std::int64_t version,
                                           std::optional<std::string_view> value) noexcept {
        std::uint64_t sum = 0xcbf29ce484222325U;
        const auto add = [&sum](std::string_view bytes) {
            for (const char byte : bytes) {
                sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
            }
        };
        add(key);
        sum = mix_bits(sum ^ static_cast<std::uint64_t>(version));
        if (value) {
            add(*value);
            sum += 1;
        }
        return static_cast<std::int64_t>(mix_bits(sum));
    }

    [[nodiscard]] static std::chrono::system_clock::time_point time_of_day(std::int64_t nanos) {
        using Clock = std::chrono::system_clock;
        return Clock::time_point{
            std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds{nanos})};
    }

private:
    struct Statements {
        explicit Statements(const SqliteConnection& of)
            : replace{of,
                      "UPDATE changes SET version = ?2, value = ?3, seal = ?4, attempts = 0, "
                      "first = 0 WHERE version = ?1"},
              insert{of, "INSERT INTO changes VALUES(?2, ?1, ?5, ?3, ?4, 0, 0)"},
              settle{of, "DELETE FROM changes WHERE version = ?1"},
              tried{of, "UPDATE changes SET attempts = ?2, first = ?3 WHERE version = ?1"},
              bury{
                  of,
                  "INSERT OR REPLACE INTO letters SELECT key, version, since, value, seal, ?2, ?3, "
                  "?4, ?5 FROM changes WHERE version = ?1"},
              letter{of,
                     "SELECT key, version, value, seal, since, attempts, first FROM letters "
                     "WHERE key = ?1"},
              letters{of,
                      "SELECT key, version, value, seal, since, attempts, first, last, why "
                      "FROM letters ORDER BY since, version"},
              count_letters{of, "SELECT count(*) FROM letters"},
              lose_letter{of, "DELETE FROM letters WHERE key = ?1"},
              keep{of, "UPDATE versions SET last = ?1, seal = ?2"} {}

        SqliteStatement replace;
        SqliteStatement insert;
        SqliteStatement settle;
        SqliteStatement tried;
        SqliteStatement bury;
        SqliteStatement letter;
        SqliteStatement letters;
        SqliteStatement count_letters;
        SqliteStatement lose_letter;
        SqliteStatement keep;
    };

    static SqliteChange change(const SqliteRow& row) {
        return {{row.bytes(0), row.bytes_or_none(2), static_cast<std::uint64_t>(row.number(1))},
                row.number(4),
                static_cast<std::size_t>(row.number(5)),
                row.number(6)};
    }
    // One byte may make a key another's: what that has is not replaced.
    static SqliteFailure damaged_letters() {
        return {SQLITE_CORRUPT, "it is damaged: its dead letters"};
    }
    static bool sealed(const SqliteRow& row) {
        return row.number(3) == seal(row.bytes(0), row.number(1), row.bytes_or_none(2));
    }
    // They are kept apart from the rows: when all of these are gone, none of them is given again.
    void read_versions() {
        int rows = 0;
        SqliteStatement{connection_, "SELECT last, seal FROM versions"}.each(
            [&](const SqliteRow& row) {
                kept_version_ = last_version_ = row.number(0);
                rows += row.number(1) == seal({}, last_version_, std::nullopt) ? 1 : 2;
            });
        if (rows != 1) {
            throw SqliteFailure{SQLITE_CORRUPT, "it is damaged: its versions"};
        }
    }

    SqliteConnection connection_;
    std::optional<Statements> statements_{};
    std::int64_t last_version_ = 0;
    std::size_t pending_ = 0;
    std::unordered_map<std::string, std::int64_t> begun_{};  // what this step gives to which key
    // What the file says of them.
    std::int64_t kept_version_ = 0;
    std::size_t kept_pending_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_JOURNAL_DETAIL_SQLITE_ROWS_HPP
