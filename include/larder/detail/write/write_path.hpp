// SPDX-License-Identifier: MIT

/// @file
/// The one write path: open the write, let the database decide, leave the slot as the policy wants.

#ifndef LARDER_DETAIL_WRITE_WRITE_PATH_HPP
#define LARDER_DETAIL_WRITE_WRITE_PATH_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/hash.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// What a policy leaves in the slot once the database has taken a write.
enum class AfterWrite : std::uint8_t {
    drop,     ///< nothing: the next read loads
    replace,  ///< a copy of what was written
};

/// A write of one key in flight. Before the database is touched, one that goes without a word wrote
/// nothing; after that, nobody knows.
template <class E>
class OpenWrite {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    /// @param key     outlives it
    /// @param ticket  none: the store could not be told, and the drop is queued
    OpenWrite(E& core, const Key& key, const Ticket& ticket) noexcept
        : core_{&core}, key_{&key}, ticket_{ticket} {}
    OpenWrite(OpenWrite&& other) noexcept
        : core_{std::exchange(other.core_, nullptr)},
          key_{other.key_},
          ticket_{other.ticket_},
          touched_{other.touched_} {}
    OpenWrite& operator=(OpenWrite&&) = delete;
    ~OpenWrite() { touched_ ? stand() : undo(); }

    /// The database is touched from now on.
    void touch() noexcept { touched_ = true; }

    /// The database has committed, and no copy is left.
    void drop() noexcept { end(nullptr, AfterWrite::drop); }

    /// The database has committed `row` (null: it holds none): from here on nothing throws.
    void finish(const Value* row, AfterWrite after) noexcept { end(row, after); }

    /// Nothing was written, or what was may not be shown: no copy is left.
    void undo() noexcept {
        if (E* const core = std::exchange(core_, nullptr)) {
            give_up(*core);
        }
    }

    /// Nobody knows what was written, and it may take effect yet: the key is served from the database
    /// until the ticket has ended.
    void stand() noexcept {
        if (E* const core = std::exchange(core_, nullptr); core != nullptr && !ticket_) {
            core->queue_invalidation(*key_, {.hold = core->options.ticket, .force = true});
        }
    }

private:
    void end(const Value* row, AfterWrite after) noexcept {
        E* const core = std::exchange(core_, nullptr);
        if (core == nullptr) {
            return;
        }
        core->wake(*key_);
        if (!ticket_) {
            core->drop(*key_);
            return;
        }
        try {
            std::optional<Value> value;
            Keeping keeping{};
            if (after == AfterWrite::replace) {
                if (row != nullptr) {
                    value.emplace(*row);
                }
                keeping = core->keeping(*key_, value, std::nullopt, {});
            }
            const Finish how = keeping.kept() ? Finish::value : Finish::nothing;
            if (!core->store.finish_write(*key_, ticket_, how, std::move(value),
                                          std::move(keeping))) {
                core->count(Count::lost_tickets);
                core->tell(EventKind::lost_ticket, *key_);
            }
        } catch (...) {
            core->tell(EventKind::fill_failed, *key_, std::current_exception());
            give_up(*core);
        }
    }

    void give_up(E& core) noexcept {
        if (!ticket_) {
            core.drop(*key_);
            return;
        }
        try {
            core.store.finish_write(*key_, ticket_, Finish::nothing, std::nullopt, {});
        } catch (...) {
            // Whether the store has heard of it or not: the ticket ends with the drop.
            core.count(Count::store_errors);
            core.queue_invalidation(*key_, {.ticket = ticket_, .force = true});
        }
    }

    E* core_;
    const Key* key_;
    Ticket ticket_;
    bool touched_ = false;
};

/// The writes of one policy. A thin view: make one where it is needed.
template <class E>
class WritePath {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;
    using Open = OpenWrite<E>;

    WritePath(E& core, AfterWrite after) noexcept : core_{core}, after_{after} {}

    void put(const Key& key, const Value& value) {
        Open write = begin(key);
        const Saved<Value> saved =
            attempt(write, [&] { return save_one<Value>(core_.loader, key, value); });
        write.finish(saved.has_row ? address(saved.row) : &value, after_);
    }

    void remove(const Key& key) {
        Open write = begin(key);
        attempt(write, [&] {
            remove_one(core_.loader, key);
            return true;
        });
        write.finish(nullptr, after_);
    }

    /// Not atomic: see PartialWrite for what a failure tells.
    void put_many(std::vector<Change<Key, Value>> changes) {
        changes = last_of_each(std::move(changes));
        std::vector<Key> keys;
        keys.reserve(changes.size());
        for (const auto& change : changes) {
            keys.push_back(change.key);
        }
        std::vector<std::pair<Key, Written>> outcome;
        outcome.reserve(keys.size());
        std::vector<Written> written(keys.size(), Written::no);
        std::vector<Open> writes = begin_many(keys);
        for (Open& write : writes) {
            write.touch();
        }
        const std::exception_ptr cause = save_all(changes, written);
        bool all = true;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            switch (written[i]) {
                case Written::yes: writes[i].finish(address(changes[i].value), after_); break;
                case Written::no: writes[i].undo(); break;
                case Written::unknown: writes[i].stand(); break;
            }
            all = all && written[i] == Written::yes;
        }
        if (!all) {
            for (std::size_t i = 0; i < keys.size(); ++i) {
                outcome.emplace_back(std::move(keys[i]), written[i]);
            }
            throw PartialWrite<Key>{std::move(outcome), cause};
        }
    }

    /// Opens the write.
    Open begin(const Key& key) {
        Ticket ticket;
        try {
            ticket = core_.store.begin_write(key, core_.options.ticket);
        } catch (const StoreError&) {
            unopened(key);
        }
        return Open{core_, key, ticket};
    }

    /// Opens the write on every key, or on none. The keys must outlive what is given.
    std::vector<Open> begin_many(const std::vector<Key>& keys) {
        std::vector<Open> writes;
        writes.reserve(keys.size());
        try {
            const std::vector<Ticket> tickets =
                core_.store.begin_write_many(std::span<const Key>{keys}, core_.options.ticket);
            for (std::size_t i = 0; i < keys.size(); ++i) {
                writes.emplace_back(core_, keys[i], tickets[i]);
            }
            return writes;
        } catch (const StoreError&) {
            // One by one: the store may still take some.
        }
        for (const Key& key : keys) {
            writes.push_back(begin(key));
        }
        return writes;
    }

private:
    // If the repository throws, and does not say that it wrote nothing, the commit may still land.
    template <class Save>
    auto attempt(Open& write, Save&& save) {
        write.touch();
        try {
            return save();
        } catch (...) {
            if (wrote_nothing(core_.loader, std::current_exception())) {
                write.undo();
            }
            throw;
        }
    }

    // What became of each; the rows as stored take the place of the values.
    std::exception_ptr save_all(std::vector<Change<Key, Value>>& changes,
                                std::vector<Written>& written) noexcept {
        std::size_t at = 0;
        try {
            if constexpr (BatchRepositoryFor<typename E::Loader, typename E::Store>) {
                const std::vector<bool> applied =
                    save_many(core_.loader, std::span<const Change<Key, Value>>{changes});
                for (; at < changes.size(); ++at) {
                    written[at] = applied[at] ? Written::yes : Written::no;
                }
            } else {
                for (; at < changes.size(); ++at) {
                    Saved<Value> saved =
                        save_one<Value>(core_.loader, changes[at].key, *changes[at].value);
                    written[at] = Written::yes;
                    if (saved.has_row) {
                        changes[at].value = std::move(saved.row);
                    }
                }
            }
            return nullptr;
        } catch (...) {
            std::exception_ptr cause = std::current_exception();
            if (!wrote_nothing(core_.loader, cause)) {
                const bool batch = BatchRepositoryFor<typename E::Loader, typename E::Store>;
                for (const std::size_t end = batch ? changes.size() : at + 1; at < end; ++at) {
                    written[at] = Written::unknown;
                }
            }
            return cause;
        }
    }

    static const Value* address(const std::optional<Value>& row) noexcept {
        return row ? std::addressof(*row) : nullptr;
    }

    void unopened(const Key& key) {
        core_.count(Count::store_errors);
        core_.tell(EventKind::store_failed, key, std::current_exception());
        if (core_.options.on_store_failure == OnStoreFailure::fail) {
            throw;
        }
        if (!core_.queue_invalidation(key, {})) {
            throw StoreError{Errc::store_full,
                             "the store cannot be told of the write of key " + key_text(key) +
                                 ", and the queue of missed invalidations is full"};
        }
    }

    static std::vector<Change<Key, Value>> last_of_each(std::vector<Change<Key, Value>> changes) {
        std::unordered_map<Key, std::size_t, Hash<Key>, std::equal_to<>> place;
        std::vector<Change<Key, Value>> unique;
        unique.reserve(changes.size());
        for (auto& change : changes) {
            const auto [it, is_new] = place.try_emplace(change.key, unique.size());
            if (is_new) {
                unique.push_back(std::move(change));
            } else {
                unique[it->second].value = std::move(change.value);
            }
        }
        return unique;
    }

    E& core_;
    AfterWrite after_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_WRITE_PATH_HPP
