// SPDX-License-Identifier: MIT

/// @file
/// A lease that is asked for, and what becomes of it.

#ifndef LARDER_REDIS_DETAIL_STORE_LEASE_REQUEST_HPP
#define LARDER_REDIS_DETAIL_STORE_LEASE_REQUEST_HPP

#include <larder/detail/flight/lead.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/slot_view.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Gives back the leases among what slots have answered, each at its place.
inline void give_back(StoreState& state, std::span<const std::string> slots,
                      std::span<const std::size_t> places,
                      std::span<const SlotOpening> openings) noexcept {
    for (std::size_t i = 0; i < slots.size(); ++i) {
        const SlotOpening& one = openings[places[i]];
        if (one.slot == larder::detail::Slot::lead) {
            state.give_back(slots[i], one.lease);
        }
    }
}

/// A lease that is asked for, known here before the slot can show it: others may join at once. Unless
/// it is handed to the caller, its end gives back what the server may have granted.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicLeaseRequest {
public:
    using Copy = std::optional<FoundCopy>;
    using Opening = SlotOpening;
    using State = StoreState;

    /// @throws std::bad_alloc  in which case nothing is known of it
    BasicLeaseRequest(State& state, const std::string& slot, bool beside = false)
        : lease{new_id(), {}, beside},
          state_{&state},
          slot_{slot},
          lead_{state.values.make_flight()} {
        state.leases.add({lease.id, beside, slot}, lead_.flight());
    }
    BasicLeaseRequest(BasicLeaseRequest&& other) noexcept
        : lease{other.lease},
          state_{std::exchange(other.state_, nullptr)},
          slot_{std::move(other.slot_)},
          grant_{other.grant_},
          lead_{std::move(other.lead_)} {}
    BasicLeaseRequest& operator=(BasicLeaseRequest&&) = delete;
    ~BasicLeaseRequest() {
        if (state_ == nullptr) {
            return;
        }
        switch (grant_) {
            case Grant::unknown: break;  // its flight is over: who sees it gives it back
            case Grant::refused: state_->leases.forget(slot_, lease.id); break;
            case Grant::granted: state_->give_back(slot_, lease); break;
        }
    }

    /// What the server said; false as well if it cannot have been asked.
    void answered(bool granted) noexcept { grant_ = granted ? Grant::granted : Grant::refused; }

    /// Hands the lease, which was granted, to the caller.
    Opening hand_out(const Epoch& epoch, Copy copy) {
        lease.epoch = epoch;
        state_->leases.confirm(slot_, lease.id, lease.beside);
        Opening opening{larder::detail::Slot::lead, copy, lease, std::move(lead_), nullptr};
        state_ = nullptr;
        return opening;
    }

    larder::detail::Lease lease;

private:
    enum class Grant : std::uint8_t { unknown, refused, granted };

    State* state_;
    std::string slot_;
    Grant grant_ = Grant::unknown;
    larder::detail::AnyLead lead_{};
};

using LeaseRequest = BasicLeaseRequest<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_LEASE_REQUEST_HPP
