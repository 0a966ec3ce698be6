// SPDX-License-Identifier: MIT

/// @file
/// The guard around a transaction of the user's own.

#ifndef LARDER_POLICY_WRITING_HPP
#define LARDER_POLICY_WRITING_HPP

#include <larder/detail/write/after_write.hpp>
#include <larder/detail/write/write_batch.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {
template <class S, class L, AfterWrite After>
class PolicyBase;
}

/// A write in flight on one or more keys, around a transaction of your own.
///
/// While it lives, its keys are read from the database and nothing is cached for them. Say how the
/// transaction ended with `commit` or `rollback`. If it goes away without either, nobody knows
/// whether the transaction was committed: its keys are served from the database until
/// `Options::ticket` has passed since it began.
///
/// ```cpp
/// auto write = accounts.writing(from, to);
/// db.transfer(from, to, amount);  // begin … commit
/// write.commit();
/// ```
///
/// Thread safety: one guard belongs to one thread at a time.
template <class C>
class [[nodiscard]] Writing {
public:
    using key_type = typename C::Key;

    Writing(Writing&&) noexcept = default;
    Writing& operator=(Writing&&) = delete;
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing() = default;

    /// The transaction has committed: drops the copies. An invalidation that the store misses is queued.
    void commit() noexcept { end(Written::yes); }

    /// Nothing was written.
    void rollback() noexcept { end(Written::no); }

private:
    template <class, class, detail::AfterWrite>
    friend class detail::PolicyBase;

    Writing(std::shared_ptr<C> core, std::vector<key_type> keys)
        : core_{std::move(core)},
          keys_{std::move(keys)},
          writes_{*core_, keys_, detail::AfterWrite::drop} {
        writes_.saving();
    }

    void end(Written how) noexcept {
        for (std::size_t i = 0; i < keys_.size(); ++i) {
            writes_.saved(i, how);
        }
        writes_.finish();
    }

    std::shared_ptr<C> core_;  // the guard may outlive the policy
    std::vector<key_type> keys_;
    detail::WriteBatch<C> writes_;
};

LARDER_NS_END

#endif  // LARDER_POLICY_WRITING_HPP
