// SPDX-License-Identifier: MIT

/// @file
/// Where the tour's copies live.

#ifndef LARDER_EXAMPLES_TOUR_STORES_HPP
#define LARDER_EXAMPLES_TOUR_STORES_HPP

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <chrono>
#include <cstddef>
#include <string>

namespace examples {

template <class Row, class Key = std::string>
using Memory = larder::MemoryStore<Key, Row, larder::ManualClock>;

/// Stores in this process. A further kind of store is a further class like this one.
struct InMemory {
    larder::ManualClock clock{};

    /// A new store; what other stores hold is not in it.
    template <class Row, class Key = std::string>
    [[nodiscard]] Memory<Row, Key> store() const {
        return Memory<Row, Key>{{.capacity = 10'000}, clock};
    }

    /// A journal for the rows of the database in this file, which outlives the process.
    template <class Row, class Key>
    [[nodiscard]] static larder::SqliteJournal<Key, Row> durable_journal(const std::string& file) {
        return larder::SqliteJournal<Key, Row>{file + ".journal"};
    }

    /// Time passes for its stores; nothing happens where the stores have a clock of their own.
    void pass(std::chrono::nanoseconds time) { clock.advance(time); }

    /// How often a read is repeated to be timed.
    static constexpr int repeats = 100'000;
};

/// A journal in this process for a write-behind on this store, whoever else sees the store.
template <class Store>
[[nodiscard]] auto journal_in_memory(const Store& store) {
    using Journal = larder::MemoryJournal<typename Store::key_type, typename Store::value_type,
                                          typename Store::clock_type>;
    if constexpr (Store::shared) {
        return larder::unshared(Journal{store.clock()});
    } else {
        return Journal{store.clock()};
    }
}

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_STORES_HPP
