// SPDX-License-Identifier: MIT

/// @file
/// What leaves a MemoryStore in one step.

#ifndef LARDER_DETAIL_MEMORY_REMOVALS_HPP
#define LARDER_DETAIL_MEMORY_REMOVALS_HPP

#include <larder/detail/memory/room.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Tells whoever asked for it of a value that has left. Call it without a lock.
template <class K, class V>
void report_removal(const MemoryStoreOptions<K, V>& options, const K& key,
                    const std::optional<V>& value, RemovalCause cause) noexcept {
    if (value && options.on_removal) {
        try {
            options.on_removal(key, *value, cause);
        } catch (...) {}
    }
}

/// Frees the room of what leaves at once; reports and destroys it when it goes itself: make it before
/// the lock is taken.
template <class K, class V, class Table>
class Removals {
    using Node = typename Table::node_type;

public:
    /// @param options  tells whom to report to; outlives this, as `room` does
    Removals(const MemoryStoreOptions<K, V>& options, Room& room) noexcept
        : options_{options}, room_{room} {}
    Removals(const Removals&) = delete;
    Removals& operator=(const Removals&) = delete;
    ~Removals() {
        report(first_);
        for (const Left& left : more_) {
            report(left);
        }
        if (key_ != nullptr) {
            report_removal(options_, *key_, value_, cause_);
        }
    }

    /// Room for an entry in here; for the first there always is.
    void reserve_one() {
        if (first_.node) {
            more_.reserve(more_.size() + 1);
        }
    }
    /// An entry that left the table, in room that is reserved.
    void add(Node node, RemovalCause cause) noexcept {
        room_.free(node.mapped().weight);
        if (!first_.node) {
            first_ = {std::move(node), cause};
        } else {
            more_.push_back({std::move(node), cause});
        }
    }
    /// A value whose entry stays.
    void add(const K& key, std::optional<V> value, RemovalCause cause) noexcept {
        key_ = std::addressof(key);
        cause_ = cause;
        value_ = std::move(value);
    }

    [[nodiscard]] Room& room() const noexcept { return room_; }

private:
    struct Left {
        Node node{};
        RemovalCause cause{};
    };

    void report(const Left& left) noexcept {
        if (left.node) {
            report_removal(options_, left.node.key().key, left.node.mapped().value, left.cause);
        }
    }

    const MemoryStoreOptions<K, V>& options_;
    Room& room_;
    Left first_{};  // most often the only one
    std::vector<Left> more_{};
    const K* key_ = nullptr;
    RemovalCause cause_{};
    std::optional<V> value_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_REMOVALS_HPP
