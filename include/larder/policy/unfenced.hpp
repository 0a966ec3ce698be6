// SPDX-License-Identifier: MIT

/// @file
/// unfenced: a repository without versions, behind a journal that outlives the process.

#ifndef LARDER_POLICY_UNFENCED_HPP
#define LARDER_POLICY_UNFENCED_HPP

#include <larder/concepts.hpp>
#include <larder/version.hpp>

#include <utility>

LARDER_NS_BEGIN

/// Says that a repository may be written by WriteBehind without versions, although the journal is
/// durable. Made by `unfenced`.
template <class R>
class Unfenced {
public:
    /// @param repository  or a std::reference_wrapper of one
    explicit Unfenced(R repository) : repository_{std::move(repository)} {}

    /// The repository itself: policies call nothing else.
    operator detail::Unwrapped<R>&() noexcept { return repository_; }

private:
    R repository_;
};

/// A WriteBehind over a durable journal asks for a repository that takes versions: a flusher that was
/// stalled, then wakes, would write a change that is older than the row, or insert one that was
/// removed. Where only one process ever writes the database, or such a row does no harm, this is the
/// way around:
///
/// ```cpp
/// larder::WriteBehind cache{store, larder::unfenced(Table{db}), journal};
/// ```
///
/// @return the repository, wrapped: it is written without versions
template <class R>
[[nodiscard]] Unfenced<R> unfenced(R repository) {
    return Unfenced<R>{std::move(repository)};
}

namespace detail {

template <class R>
struct Unwrap<Unfenced<R>> {
    using type = Unwrapped<R>;
};

template <class R>
inline constexpr bool is_unfenced = false;
template <class R>
inline constexpr bool is_unfenced<Unfenced<R>> = true;

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_POLICY_UNFENCED_HPP
