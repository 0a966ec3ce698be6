// SPDX-License-Identifier: MIT

/// @file
/// One part of a MemoryJournal: the changes behind one lock.

#ifndef LARDER_DETAIL_JOURNAL_JOURNAL_PART_HPP
#define LARDER_DETAIL_JOURNAL_JOURNAL_PART_HPP

#include <larder/detail/journal/pending_change.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The changes of some keys: a table by key, and a list by age of those that are pending. Since the
/// oldest are claimed first, those that nobody has claimed yet are the end of the list.
///
/// Thread safety: none of its own. Hold `mutex` for every call.
template <class K, class V>
class alignas(64) JournalPart {
public:
    using Node = PendingChange<K, V>;

    JournalPart() = default;
    JournalPart(const JournalPart&) = delete;
    JournalPart& operator=(const JournalPart&) = delete;
    ~JournalPart() {
        each([](Node& node) { delete &node; });
    }

    /// What there is of a key; null if nothing.
    [[nodiscard]] Node* find(const K& key, std::size_t hash) const {
        Node* node = count_ == 0 ? nullptr : buckets_[at(hash)];
        while (node != nullptr && !(node->hash == hash && std::equal_to<>{}(node->key, key))) {
            node = node->next;
        }
        return node;
    }
    /// Steps through all there is.
    template <class Step>
    void each(Step&& step) const {
        for (Node* node : buckets_) {
            while (node != nullptr) {
                step(*std::exchange(node, node->next));
            }
        }
    }

    /// Makes room in the table: `insert` needs no memory from now on. Who inserts more at once than he has
    /// made room for finds the table a little crowded.
    void reserve_one() {
        if (count_ >= buckets_.size()) {
            std::vector<Node*> fewer(std::bit_ceil((std::max)(2 * count_, std::size_t{8})));
            fewer.swap(buckets_);
            for (Node* node : fewer) {
                while (node != nullptr) {
                    chain(*std::exchange(node, node->next));
                }
            }
        }
    }
    Node& insert(std::unique_ptr<Node> made) noexcept {
        Node& node = *made.release();
        chain(node);
        ++count_;
        return node;
    }
    [[nodiscard]] std::unique_ptr<Node> extract(Node& node) noexcept {
        Node** link = &buckets_[at(node.hash)];
        while (*link != &node) {
            link = &(*link)->next;
        }
        *link = node.next;
        --count_;
        return std::unique_ptr<Node>{&node};
    }

    /// Lists a change as the newest.
    void link(Node& node) noexcept {
        node.older = newest_;
        node.newer = nullptr;
        (newest_ != nullptr ? newest_->newer : oldest_) = &node;
        newest_ = &node;
        node.fresh = true;
        node.backs_off = false;
        if (first_fresh_ == nullptr) {
            first_fresh_ = &node;
        }
    }
    /// The same change takes no part in the order any more.
    void unlink(Node& node) noexcept {
        claimed(node);
        (node.older != nullptr ? node.older->newer : oldest_) = node.newer;
        (node.newer != nullptr ? node.newer->older : newest_) = node.older;
    }
    /// It is not fresh any more. If it was, it was the oldest of those.
    void claimed(Node& node) noexcept {
        if (first_fresh_ == &node) {
            first_fresh_ = node.newer;
        }
        node.fresh = false;
    }

    /// The oldest that is pending; null if none is.
    [[nodiscard]] Node* oldest() const noexcept { return oldest_; }
    /// The oldest that nobody has claimed yet; null if there is none.
    [[nodiscard]] Node* first_fresh() const noexcept { return first_fresh_; }
    /// Greater than all that were given in this part, and by the time of day, in nanoseconds: or an
    /// earlier run's rows, or what another process has written meanwhile, would be newer.
    [[nodiscard]] std::uint64_t next_version() noexcept {
        const auto today = std::chrono::system_clock::now().time_since_epoch();
        const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(today);
        versions_ = (std::max)(versions_ + 1, static_cast<std::uint64_t>(nanos.count()));
        return versions_;
    }

    std::mutex mutex{};

private:
    [[nodiscard]] std::size_t at(std::size_t hash) const noexcept {
        return hash & (buckets_.size() - 1);
    }
    void chain(Node& node) noexcept {
        Node*& first = buckets_[at(node.hash)];
        node.next = std::exchange(first, &node);
    }

    std::vector<Node*> buckets_{};  // a power of two
    std::size_t count_ = 0;
    Node* oldest_ = nullptr;
    Node* newest_ = nullptr;
    Node* first_fresh_ = nullptr;
    std::uint64_t versions_ = 0;  // the last that was given
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_JOURNAL_JOURNAL_PART_HPP
