// SPDX-License-Identifier: MIT

/// @file
/// The one write path: begin the write, let the database decide, leave the slot as the policy wants.

#ifndef LARDER_DETAIL_WRITE_WRITE_PATH_HPP
#define LARDER_DETAIL_WRITE_WRITE_PATH_HPP

#include <larder/concepts.hpp>
#include <larder/detail/core.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/record_end.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/detail/write/open_write.hpp>
#include <larder/detail/write/write_batch.hpp>
#include <larder/detail/write/write_steps.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/hash.hpp>
#include <larder/stats.hpp>
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

/// The database answers at once, and the store takes a whole write in one step with it.
template <class C>
inline constexpr bool writes_at_once =
    requires { requires C::Loader::template at_once<typename C::Store::AtOnce>; };

/// The same for many writes, each in a step of its own.
template <class C>
inline constexpr bool writes_many_at_once =
    requires { requires C::Loader::template many_at_once<typename C::Store::AtOnce>; };

/// The writes of one policy. A thin view: make one where it is needed.
///
/// @tparam C  a Core
template <class C>
class WritePath {
public:
    using Key = typename C::Key;
    using Value = typename C::Value;
    using Open = OpenWrite<C>;

    WritePath(C& core, AfterWrite after) noexcept : core_{core}, after_{after} {}

    void put(const Key& key, const Value& value) {
        if (!at_once(key, std::addressof(value))) {
            std::optional<Value> row;
            write(key, [&] { return save_one(core_.loader, key, value, row); });
        }
    }

    void remove(const Key& key) {
        if (!at_once(key, nullptr)) {
            write(key, [&]() -> const Value* {
                remove_one(core_.loader, key);
                return nullptr;
            });
        }
    }

    /// Not atomic: see PartialWrite for what a failure tells.
    void put_many(std::vector<Change<Key, Value>> changes) {
        if (changes.empty()) {
            return;  // the repository need not know what to make of no rows
        }
        changes = last_of_each(std::move(changes));
        std::vector<std::pair<Key, Written>> outcome;
        outcome.reserve(changes.size());
        for (const auto& change : changes) {
            outcome.emplace_back(change.key, Written::no);
        }
        std::vector<Written> written(changes.size(), Written::no);
        std::exception_ptr cause = many_together(changes, written);
        bool all = true;
        for (std::size_t i = 0; i < outcome.size(); ++i) {
            outcome[i].second = written[i];
            all = all && written[i] == Written::yes;
        }
        if (!all) {
            throw PartialWrite<Key>{std::move(outcome), std::move(cause)};
        }
    }

private:
    // What became of each, and why not.
    std::exception_ptr many_together(std::vector<Change<Key, Value>>& changes,
                                     std::vector<Written>& written) {
        if constexpr (!writes_many_at_once<C>) {
            return step_by_step(changes, written);
        } else {
            std::vector<std::size_t> left;
            std::exception_ptr cause = many_at_once(changes, written, left);
            if (left.empty()) {
                return cause;
            }
            std::vector<Change<Key, Value>> some;
            some.reserve(left.size());
            for (const std::size_t i : left) {
                some.push_back(std::move(changes[i]));
            }
            std::vector<Written> ends(left.size(), Written::no);
            const bool alone = left.size() == changes.size();
            try {
                const std::exception_ptr why = step_by_step(some, ends);
                cause = cause ? cause : why;
            } catch (...) {
                if (alone) {
                    throw;
                }
                cause = std::current_exception();  // none of these was begun
            }
            for (std::size_t at = 0; at < left.size(); ++at) {
                written[left[at]] = ends[at];
            }
            return cause;
        }
    }

    // @throws why the store could not be told, in which case no key's write has begun
    std::exception_ptr step_by_step(std::vector<Change<Key, Value>>& changes,
                                    std::vector<Written>& written) {
        std::vector<Key> keys;
        keys.reserve(changes.size());
        for (const auto& change : changes) {
            keys.push_back(change.key);
        }
        WriteBatch<C> writes{core_, keys, after_};
        writes.saving();
        std::exception_ptr cause = save_all(changes, written);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            const auto& row = changes[i].value;
            writes.saved(i, written[i], row ? std::addressof(*row) : nullptr);
        }
        writes.finish();
        return cause;
    }

    // The write in one step, where that can be. False if nothing is written: then it is to be gone step by
    // step, which waits where that is needed, and says what fails. Rule W11.
    //
    // @throws StoreError  the store may have taken it, or may yet: with the copy, and at once
    bool at_once([[maybe_unused]] const Key& key, [[maybe_unused]] const Value* value) {
        if constexpr (writes_at_once<C>) {
            bool written = false;
            try {
                std::optional<Value> copy;
                if (value != nullptr) {
                    copy.emplace(*value);
                }
                const CopyTerms terms = core_.copy_terms(key, copy, std::nullopt, {});
                written = core_.loader.save_within(key, value, [&](const auto& record) {
                    return core_.store.write_at_once(key, std::move(copy), terms, record);
                });
            } catch (const StoreError&) {
                core_.count(Count::store_errors);
                core_.report(EventKind::store_failed, key, std::current_exception());
                throw;
            } catch (...) {}
            if (written) {
                core_.end_back_off(key);
            }
            return written;
        }
        return false;
    }

    // The same for many, in one round trip: `left` is told which are to be gone step by step. Gives why one
    // was not written.
    std::exception_ptr many_at_once(std::span<const Change<Key, Value>> changes,
                                    std::vector<Written>& written, std::vector<std::size_t>& left) {
        std::vector<RecordEnd> ends(changes.size());
        try {
            std::vector<CopyTerms> terms;
            terms.reserve(changes.size());
            for (const auto& change : changes) {
                terms.push_back(core_.copy_terms(change.key, change.value, std::nullopt, {}));
            }
            ends = core_.store.write_many_at_once(changes, terms, [&](auto steps) {
                return core_.loader.save_many_within(changes, steps);
            });
        } catch (...) {}  // nothing is written: step by step each is told by itself
        std::exception_ptr cause;
        for (std::size_t i = 0; i < ends.size(); ++i) {
            written[i] = ends[i].written;
            if (ends[i].failure) {
                core_.count(Count::store_errors);
                core_.report(EventKind::store_failed, changes[i].key, ends[i].failure);
                cause = cause ? cause : ends[i].failure;
            } else if (ends[i].written == Written::yes) {
                core_.end_back_off(changes[i].key);
            } else {
                left.push_back(i);
            }
        }
        return cause;
    }

    template <class Save>
    void write(const Key& key, Save&& save) {
        Open write{core_, key, after_};
        while (write.next() != WriteStep::done) {
            write.step(save);
        }
        write.rethrow();
    }

    // What became of each; the rows as stored take the place of the values.
    std::exception_ptr save_all(std::vector<Change<Key, Value>>& changes,
                                std::vector<Written>& written) noexcept {
        constexpr bool together = BatchRepositoryFor<typename C::Loader, typename C::Store>;
        std::size_t at = 0;
        try {
            if constexpr (together) {
                const std::vector<bool> applied =
                    save_many(core_.loader, std::span<const Change<Key, Value>>{changes});
                for (; at < changes.size(); ++at) {
                    written[at] = applied[at] ? Written::yes : Written::no;
                }
            } else {
                for (; at < changes.size(); ++at) {
                    Change<Key, Value>& change = changes[at];
                    std::optional<Value> row;
                    const Value* const now = save_one(core_.loader, change.key, *change.value, row);
                    written[at] = Written::yes;
                    if (now != std::addressof(*change.value)) {
                        change.value = std::move(row);
                    }
                }
            }
            return nullptr;
        } catch (...) {
            std::exception_ptr cause = std::current_exception();
            if (!wrote_nothing(core_.loader, cause)) {
                for (const std::size_t end = together ? changes.size() : at + 1; at < end; ++at) {
                    written[at] = Written::unknown;
                }
            }
            return cause;
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

    C& core_;
    AfterWrite after_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_WRITE_PATH_HPP
