// SPDX-License-Identifier: MIT

/// @file
/// What a SqliteJournal does to its rows, and then to what it knows in memory.

#ifndef LARDER_JOURNAL_DETAIL_SQLITE_STEPS_HPP
#define LARDER_JOURNAL_DETAIL_SQLITE_STEPS_HPP

#include <larder/detail/journal/pending_changes.hpp>
#include <larder/hash.hpp>
#include <larder/journal/detail/group_commit.hpp>
#include <larder/journal/detail/sqlite_rows.hpp>
#include <larder/journal/journal.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// What is known in memory of the changes of a file: all that is pending, and who has which in hand. The
/// rows say what there is; this says what of it is on the disk.
struct SqliteMemory {
    using State = PendingChanges<std::string, std::string>;
    using Node = State::Node;
    using Part = State::Part;
    using Claim = Claimed<std::string, std::string>;

    /// As the steps of PendingChanges take one.
    struct Time {
        std::function<std::chrono::steady_clock::time_point()> now;
    };

    State state{};
    Time clock;

    [[nodiscard]] Part& part_of(const std::string& key) {
        return state.part_of(Hash<std::string>{}(key));
    }
    [[nodiscard]] static Node* find(const Part& part, const std::string& key) {
        return part.find(key, Hash<std::string>{}(key));
    }
    /// The version of what the key has pending; 0: nothing.
    [[nodiscard]] std::int64_t version_of(const std::string& key) {
        Part& part = part_of(key);
        const std::scoped_lock lock{part.mutex};
        const Node* const node = find(part, key);
        return node == nullptr ? 0 : static_cast<std::int64_t>(node->version);
    }
    /// Something to insert, and the room for it.
    [[nodiscard]] std::unique_ptr<Node> prepare(const std::string& key) {
        auto made = std::make_unique<Node>(key, Hash<std::string>{}(key));
        Part& part = part_of(key);
        const std::scoped_lock lock{part.mutex};
        part.reserve_one();
        return made;
    }
    /// It begins to wait. Hold the part.
    Node& insert(Part& part, std::unique_ptr<Node> made, State::Instant since) noexcept {
        State::Place place{state};
        static_cast<void>(place.take((std::numeric_limits<std::size_t>::max)()));
        place.use();
        Node& node = part.insert(std::move(made));
        state.begin_to_wait(part, node, since);
        return node;
    }
    /// The claim counts, and nothing newer is recorded.
    ///
    /// @param failed  when it was tried in vain first, if it was
    [[nodiscard]] bool is_newest(const Claim& mine, std::int64_t* failed = nullptr) {
        const std::scoped_lock lock{state.claiming};
        const Node* const node = state.held(mine);
        if (node == nullptr || node->version != mine.change.version) {
            return false;
        }
        if (failed != nullptr && mine.attempts > 0) {
            *failed = SqliteRows::nanoseconds(node->failed);
        }
        return true;
    }
    /// This very change is gone; a newer one begins to wait anew.
    void end(const Claim& mine, bool gone) noexcept {
        std::unique_ptr<Node> ended;  // destroyed without a lock
        const std::scoped_lock lock{state.claiming};
        Part& part = part_of(mine.change.key);
        const std::scoped_lock lock_part{part.mutex};
        Node* const node = find(part, mine.change.key);
        if (node == nullptr) {
            return;
        }
        if (gone && node->version == mine.change.version) {
            state.end(part, *node);
            ended = part.extract(*node);
        } else if (mine.claim != 0 && node->claim == mine.claim) {
            state.confirm(part, *node, mine, clock.now());
        }
    }
};

/// record: a change takes the place of what its key has.
class RecordStep final : public SqliteStep {
public:
    using Bytes = std::optional<std::string>;

    RecordStep(SqliteMemory& memory, const std::string& key, Bytes& value, std::size_t most)
        : memory_{memory}, key_{key}, value_{value}, most_{most} {}

    void run(SqliteRows& rows) override {
        version_ = rows.next_version();
        recorded_ = rows.replace(memory_.version_of(key_), key_, version_, value_);
        made_.reset();
        if (!recorded_ && rows.pending() < most_) {
            made_ = memory_.prepare(key_);
            rows.insert(key_, version_, value_, SqliteRows::now());
            recorded_ = true;
        }
    }
    void publish() noexcept override {
        if (!recorded_) {
            return;
        }
        SqliteMemory::Part& part = memory_.part_of(key_);
        const std::scoped_lock lock{part.mutex};
        const auto now = memory_.clock.now();
        SqliteMemory::Node* const node =
            made_ ? &memory_.insert(part, std::move(made_), now) : SqliteMemory::find(part, key_);
        if (node->backs_off) {
            memory_.state.wait_anew(part, *node, now);
        }
        node->value.swap(value_);
        node->attempts = 0;
        node->version = static_cast<std::uint64_t>(version_);
    }

    /// The version given to it; none if there was no room.
    [[nodiscard]] std::optional<std::uint64_t> version() const noexcept {
        return recorded_ ? std::optional{static_cast<std::uint64_t>(version_)} : std::nullopt;
    }

private:
    SqliteMemory& memory_;
    const std::string& key_;
    Bytes& value_;
    const std::size_t most_;
    std::int64_t version_ = 0;
    bool recorded_ = false;
    std::unique_ptr<SqliteMemory::Node> made_{};
};

/// settle: the database has them. It does not wait for the disk: a change that is pending again after a power
/// cut is written again, and leaves the row as it is, or is refused by one that is newer.
class SettleStep final : public SqliteStep {
public:
    SettleStep(SqliteMemory& memory, std::span<const SqliteMemory::Claim> claims)
        : memory_{memory}, claims_{claims}, settled_(claims.size()) {}

    [[nodiscard]] bool lasting() const noexcept override { return false; }
    void run(SqliteRows& rows) override {
        for (std::size_t i = 0; i < claims_.size(); ++i) {
            const auto& change = claims_[i].change;
            settled_[i] = memory_.is_newest(claims_[i]) &&
                          rows.settle(static_cast<std::int64_t>(change.version));
        }
    }
    void publish() noexcept override {
        for (std::size_t i = 0; i < claims_.size(); ++i) {
            memory_.end(claims_[i], settled_[i]);
        }
    }

    /// What became of each.
    [[nodiscard]] std::vector<bool> settled() && { return std::move(settled_); }

private:
    SqliteMemory& memory_;
    const std::span<const SqliteMemory::Claim> claims_;
    std::vector<bool> settled_;
};

/// bury: the database would not take it.
class BuryStep final : public SqliteStep {
public:
    BuryStep(SqliteMemory& memory, const SqliteMemory::Claim& mine, std::string_view why)
        : memory_{memory}, mine_{mine}, why_{why} {}

    void run(SqliteRows& rows) override {
        const auto& change = mine_.change;
        const std::int64_t today = SqliteRows::now();
        std::int64_t first = today;
        buried_ =
            memory_.is_newest(mine_, &first) && rows.bury(static_cast<std::int64_t>(change.version),
                                                          why_, mine_.attempts + 1, first, today);
    }
    void publish() noexcept override { memory_.end(mine_, buried_); }

    [[nodiscard]] bool buried() const noexcept { return buried_; }

private:
    SqliteMemory& memory_;
    const SqliteMemory::Claim& mine_;
    const std::string_view why_;
    bool buried_ = false;
};

/// revive: a dead letter is pending again, with its version. Rule W8.
class ReviveStep final : public SqliteStep {
public:
    ReviveStep(SqliteMemory& memory, const std::string& key) : memory_{memory}, key_{key} {}

    void run(SqliteRows& rows) override {
        made_ = memory_.prepare(key_);
        revived_ = rows.revive(key_, SqliteRows::now());
    }
    void publish() noexcept override {
        if (revived_) {
            SqliteMemory::Part& part = memory_.part_of(key_);
            const std::scoped_lock lock{part.mutex};
            SqliteMemory::Node& node = memory_.insert(part, std::move(made_), memory_.clock.now());
            node.value.swap(revived_->change.value);
            node.version = revived_->change.version;
        }
    }

    [[nodiscard]] bool revived() const noexcept { return revived_.has_value(); }

private:
    SqliteMemory& memory_;
    const std::string& key_;
    std::unique_ptr<SqliteMemory::Node> made_{};
    std::optional<SqliteChange> revived_{};
};

/// discard: a dead letter is forgotten.
class DiscardStep final : public SqliteStep {
public:
    explicit DiscardStep(const std::string& key) : key_{key} {}

    void run(SqliteRows& rows) override { discarded_ = rows.discard(key_); }
    void publish() noexcept override {}

    [[nodiscard]] bool discarded() const noexcept { return discarded_; }

private:
    const std::string& key_;
    bool discarded_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_JOURNAL_DETAIL_SQLITE_STEPS_HPP
