// SPDX-License-Identifier: MIT

/// @file
/// The writes of a batch that begins on every key, or on none.

#ifndef LARDER_DETAIL_SLOT_BEGUN_WRITES_HPP
#define LARDER_DETAIL_SLOT_BEGUN_WRITES_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The tickets drawn so far. Whoever goes before the batch has begun gives them back.
///
/// @tparam GiveBack  takes a ticket; throws nothing
template <class GiveBack>
class BegunWrites {
public:
    /// @param most  how many there will be: adding them takes no memory
    BegunWrites(std::size_t most, GiveBack give_back) : give_back_{std::move(give_back)} {
        tickets_.reserve(most);
    }
    BegunWrites(const BegunWrites&) = delete;
    BegunWrites& operator=(const BegunWrites&) = delete;
    ~BegunWrites() {
        for (const Ticket& ticket : tickets_) {
            give_back_(ticket);
        }
    }

    void add(const Ticket& ticket) { tickets_.push_back(ticket); }

    /// All have begun: they are the caller's now.
    [[nodiscard]] std::vector<Ticket> tickets() && { return std::exchange(tickets_, {}); }

private:
    std::vector<Ticket> tickets_{};
    GiveBack give_back_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_BEGUN_WRITES_HPP
