// SPDX-License-Identifier: MIT

/// @file
/// The one write path: open the write, let the database decide, leave the slot as the policy wants.

#ifndef LARDER_DETAIL_WRITE_PATH_HPP
#define LARDER_DETAIL_WRITE_PATH_HPP

#include <larder/detail/call.hpp>
#include <larder/detail/engine.hpp>
#include <larder/detail/slot.hpp>
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

/// The writes of one policy. A thin view: make one where it is needed.
template <class E>
class WritePath {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    WritePath(E& engine, AfterWrite after) noexcept : e_{engine}, after_{after} {}

    void put(const Key& key, const Value& value) {
        const Ticket ticket = begin(key);
        Saved<Value> saved;
        try {
            saved = save_one<Value>(e_.loader, key, value);
        } catch (...) {
            failed(key, ticket);
            throw;
        }
        finish(key, ticket, saved.has_row ? address(saved.row) : &value);
    }

    void remove(const Key& key) {
        const Ticket ticket = begin(key);
        try {
            remove_one(e_.loader, key);
        } catch (...) {
            failed(key, ticket);
            throw;
        }
        finish(key, ticket, nullptr);
    }

    /// Not atomic: see PartialWrite for what a failure tells.
    void put_many(std::vector<Change<Key, Value>> changes) {
        changes = last_of_each(std::move(changes));
        std::vector<Key> keys;
        keys.reserve(changes.size());
        for (const auto& change : changes) {
            keys.push_back(change.key);
        }
        const std::vector<Ticket> tickets = begin_many(keys);
        std::vector<Written> written(keys.size(), Written::no);
        std::exception_ptr cause;
        std::vector<std::optional<Value>> rows(keys.size());
        if constexpr (BatchRepositoryFor<typename E::Loader, typename E::Store>) {
            try {
                const std::vector<bool> applied =
                    save_many(e_.loader, std::span<const Change<Key, Value>>{changes});
                for (std::size_t i = 0; i < keys.size(); ++i) {
                    written[i] = applied[i] ? Written::yes : Written::no;
                }
            } catch (...) {
                cause = std::current_exception();
                if (!wrote_nothing(e_.loader, cause)) {
                    written.assign(keys.size(), Written::unknown);
                }
            }
            for (std::size_t i = 0; i < keys.size(); ++i) {
                rows[i] = std::move(changes[i].value);
            }
        } else {
            for (std::size_t i = 0; i < keys.size() && !cause; ++i) {
                try {
                    Saved<Value> saved = save_one<Value>(e_.loader, keys[i], *changes[i].value);
                    rows[i] = saved.has_row ? std::move(saved.row) : std::move(changes[i].value);
                    written[i] = Written::yes;
                } catch (...) {
                    cause = std::current_exception();
                    written[i] = wrote_nothing(e_.loader, cause) ? Written::no : Written::unknown;
                }
            }
        }
        bool all = true;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            switch (written[i]) {
                case Written::yes: finish(keys[i], tickets[i], address(rows[i])); break;
                case Written::no: undo(keys[i], tickets[i]); break;
                case Written::unknown: break;  // its ticket stands
            }
            all = all && written[i] == Written::yes;
        }
        if (!all) {
            std::vector<std::pair<Key, Written>> outcome;
            outcome.reserve(keys.size());
            for (std::size_t i = 0; i < keys.size(); ++i) {
                outcome.emplace_back(std::move(keys[i]), written[i]);
            }
            throw PartialWrite<Key>{std::move(outcome), cause};
        }
    }

    /// Opens the write. No ticket: the store could not be told, and the drop is queued.
    Ticket begin(const Key& key) {
        try {
            return e_.store.begin_write(key, e_.options.ticket);
        } catch (const StoreError&) {
            unopened(key);
            return {};
        }
    }

    /// Opens the write on every key, or on none.
    std::vector<Ticket> begin_many(const std::vector<Key>& keys) {
        try {
            return e_.store.begin_write_many(std::span<const Key>{keys}, e_.options.ticket);
        } catch (const StoreError&) {
            // One by one: the store may still take some.
        }
        std::vector<Ticket> tickets;
        tickets.reserve(keys.size());
        try {
            for (const Key& key : keys) {
                tickets.push_back(begin(key));
            }
        } catch (...) {
            for (std::size_t i = 0; i < tickets.size(); ++i) {
                undo(keys[i], tickets[i]);
            }
            throw;
        }
        return tickets;
    }

    /// The database has committed `row` (null: it holds none): from here on nothing throws.
    void finish(const Key& key, const Ticket& ticket, const Value* row) noexcept {
        e_.traffic.wake(key);
        if (!ticket) {
            e_.drop(key);
            return;
        }
        try {
            std::optional<Value> value;
            Keeping keeping{};
            if (after_ == AfterWrite::replace) {
                if (row != nullptr) {
                    value.emplace(*row);
                }
                keeping = e_.keeping(key, value, std::nullopt, {});
            }
            const Finish how = keeping.kept() ? Finish::value : Finish::nothing;
            if (!e_.store.finish_write(key, ticket, how, std::move(value), std::move(keeping))) {
                e_.count(Count::lost_tickets);
                e_.tell(EventKind::lost_ticket, key);
            }
        } catch (...) {
            e_.tell(EventKind::fill_failed, key, std::current_exception());
            undo(key, ticket);
        }
    }

    /// Nothing was written, or what was may not be shown: no copy is left.
    void undo(const Key& key, const Ticket& ticket) noexcept {
        if (!ticket) {
            e_.drop(key);
            return;
        }
        try {
            e_.store.finish_write(key, ticket, Finish::nothing, std::nullopt, {});
        } catch (...) {
            e_.count(Count::store_errors);
            e_.queue_drop(key, true);
        }
    }

private:
    // The repository threw. Unless it wrote nothing for sure, the commit may still land: then the
    // ticket stays, and the key is served from the database until its deadline.
    void failed(const Key& key, const Ticket& ticket) noexcept {
        if (wrote_nothing(e_.loader, std::current_exception())) {
            undo(key, ticket);
        }
    }

    static const Value* address(const std::optional<Value>& row) noexcept {
        return row ? std::addressof(*row) : nullptr;
    }

    void unopened(const Key& key) {
        e_.count(Count::store_errors);
        e_.tell(EventKind::store_failed, key, std::current_exception());
        if (e_.options.on_store_failure == OnStoreFailure::fail) {
            throw;
        }
        if (!e_.queue_drop(key, false)) {
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

    E& e_;
    AfterWrite after_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_PATH_HPP
