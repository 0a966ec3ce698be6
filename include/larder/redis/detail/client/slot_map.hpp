// SPDX-License-Identifier: MIT

/// @file
/// Who has which hash slots.

#ifndef LARDER_REDIS_DETAIL_CLIENT_SLOT_MAP_HPP
#define LARDER_REDIS_DETAIL_CLIENT_SLOT_MAP_HPP

#include <larder/redis/detail/client/hash_slot.hpp>
#include <larder/redis/detail/client/redirection.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Which primary has which slots of a cluster.
class SlotMap {
public:
    /// Nobody has any.
    SlotMap() { owner_of_.fill(nobody); }

    /// Reads the reply to CLUSTER SLOTS. What makes no sense in it is left out.
    ///
    /// @param asked  the node that gave it
    /// @return  empty: it tells of no slot
    [[nodiscard]] static std::optional<SlotMap> parse(ReplyView reply, const Endpoint& asked) {
        SlotMap map;
        for (std::size_t i = 0; i < reply.size(); ++i) {
            map.add(reply[i], asked);
        }
        if (map.owners_.empty()) {
            return std::nullopt;
        }
        map.sort();
        return map;
    }

    /// The place of the slot's primary among the owners; empty: it is served nowhere.
    [[nodiscard]] std::optional<std::size_t> owner(std::uint16_t slot) const noexcept {
        const std::uint16_t found = owner_of_[slot];
        return found == nobody ? std::nullopt : std::optional<std::size_t>{found};
    }

    /// The primaries that have slots, each once.
    [[nodiscard]] const std::vector<Endpoint>& owners() const noexcept { return owners_; }

    /// Whether each slot has the same primary.
    friend bool operator==(const SlotMap&, const SlotMap&) = default;

private:
    static constexpr std::uint16_t nobody = (std::numeric_limits<std::uint16_t>::max)();

    static std::optional<std::uint16_t> slot(ReplyView number) {
        const std::int64_t value = number.is_integer() ? number.integer() : -1;
        return value < 0 || value >= hash_slots ? std::nullopt
                                                : std::optional{static_cast<std::uint16_t>(value)};
    }

    // First slot, last slot, the primary: host, port, and more.
    void add(ReplyView range, const Endpoint& asked) {
        const auto first = slot(range[0]);
        const auto last = slot(range[1]);
        const ReplyView primary = range[2];
        const std::int64_t port = primary[1].is_integer() ? primary[1].integer() : 0;
        if (!first || !last || *first > *last) {
            return;
        }
        auto at = announced(primary[0].text(), std::to_string(port), asked);
        if (!at) {
            return;
        }
        auto known = std::find(owners_.begin(), owners_.end(), *at);
        if (known == owners_.end()) {
            known = owners_.insert(known, *std::move(at));
        }
        std::fill(owner_of_.begin() + *first, owner_of_.begin() + *last + 1,
                  static_cast<std::uint16_t>(known - owners_.begin()));
    }

    // Nodes tell the same in various orders.
    void sort() {
        const std::vector<Endpoint> before = owners_;
        std::sort(owners_.begin(), owners_.end(), [](const Endpoint& a, const Endpoint& b) {
            return std::tie(a.host, a.port) < std::tie(b.host, b.port);
        });
        std::vector<std::uint16_t> place;
        place.reserve(before.size());
        for (const Endpoint& at : before) {
            place.push_back(static_cast<std::uint16_t>(
                std::find(owners_.begin(), owners_.end(), at) - owners_.begin()));
        }
        for (std::uint16_t& owner : owner_of_) {
            owner = owner == nobody ? nobody : place[owner];
        }
    }

    std::array<std::uint16_t, hash_slots> owner_of_;
    std::vector<Endpoint> owners_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_SLOT_MAP_HPP
