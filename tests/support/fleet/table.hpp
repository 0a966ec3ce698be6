// SPDX-License-Identifier: MIT

/// @file
/// The repository of a fleet's members: rows in SQLite, with chaos between any two steps.

#ifndef LARDER_TESTS_SUPPORT_FLEET_TABLE_HPP
#define LARDER_TESTS_SUPPORT_FLEET_TABLE_HPP

#include "support/fleet/chaos.hpp"
#include "support/fleet/operation_log.hpp"
#include "support/fleet/rows.hpp"

#include <larder/larder.hpp>

#include <charconv>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace larder_test {

/// What is cached of a row: its key and its version.
inline std::string row_text(int key, int version) {
    return std::to_string(key) + "@" + std::to_string(version);
}

/// The version that a read of `key` has got, or Logged::nothing.
///
/// @throws std::logic_error  it is another key's row, or no row at all
inline int version_in(const std::optional<std::string>& text, int key) {
    if (!text) {
        return Logged::nothing;
    }
    const std::string head = std::to_string(key) + "@";
    int version = 0;
    const char* const end = text->data() + text->size();
    if (!text->starts_with(head) ||
        std::from_chars(text->data() + head.size(), end, version).ptr != end) {
        throw std::logic_error{"key " + std::to_string(key) + " is served as " + *text};
    }
    return version;
}

/// Rows as strings. Now and then a load fails, a save is refused, or the answer to one that was
/// committed is lost. Each save is one more version of its row, made by the operation that the calling
/// thread has named.
///
/// Thread safety: all threads of one process.
class FleetTable {
public:
    struct Refused : std::runtime_error, larder::NotWritten {
        using std::runtime_error::runtime_error;
    };
    struct LoadFailed : std::runtime_error {
        using std::runtime_error::runtime_error;
    };
    /// It was committed, and the caller is not told.
    struct AnswerLost : std::runtime_error {
        using std::runtime_error::runtime_error;
    };

    FleetTable(std::string path, Chaos& chaos, OperationLog& log, unsigned life)
        : path_{std::move(path)}, chaos_{chaos}, log_{log}, life_{life} {}

    static void set_operation(OperationLog::Number number) { operation() = number; }

    std::optional<std::string> load(int key) {
        const auto number = log_.begin(Logged::Kind::load, life_, key);
        chaos_.step();
        const bool fails = chaos_.chance(32);
        Rows::Row row;
        if (!fails) {
            row = with_rows([&](Rows& rows) { return rows.load(key); });
            chaos_.step();
        }
        if (number) {
            log_.end(*number, fails ? Logged::State::failed : Logged::State::done,
                     row.is_there ? row.version : Logged::nothing);
        }
        if (fails) {
            throw LoadFailed{"the load failed"};
        }
        return row.is_there ? std::optional{row_text(key, row.version)} : std::nullopt;
    }
    std::string save(int key, const std::string&) { return row_text(key, change(key, true)); }
    void remove(int key) { change(key, false); }

private:
    static OperationLog::Number& operation() {
        thread_local OperationLog::Number number = 0;
        return number;
    }

    int change(int key, bool is_there) {
        chaos_.step();
        if (chaos_.chance(32)) {
            throw Refused{"refused"};
        }
        const int version = with_rows([&](Rows& rows) {
            return rows.change(key, is_there, operation(), [this] { chaos_.step(); });
        });
        chaos_.step();
        if (chaos_.chance(128)) {
            throw AnswerLost{"the answer was lost"};
        }
        return version;
    }

    /// A connection that nobody else uses for as long as `f` runs.
    template <class F>
    std::invoke_result_t<F&, Rows&> with_rows(F&& f) {
        std::unique_ptr<Rows> rows;
        {
            const std::scoped_lock lock{mutex_};
            if (!idle_.empty()) {
                rows = std::move(idle_.back());
                idle_.pop_back();
            }
        }
        if (!rows) {
            rows = std::make_unique<Rows>(path_);
        }
        auto result = f(*rows);  // one that threw is not used again
        const std::scoped_lock lock{mutex_};
        idle_.push_back(std::move(rows));
        return result;
    }

    std::string path_;
    Chaos& chaos_;
    OperationLog& log_;
    unsigned life_;
    std::mutex mutex_{};
    std::vector<std::unique_ptr<Rows>> idle_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_TABLE_HPP
