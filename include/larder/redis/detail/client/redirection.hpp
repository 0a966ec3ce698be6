// SPDX-License-Identifier: MIT

/// @file
/// What a node of a cluster answers to a command that it does not carry out.

#ifndef LARDER_REDIS_DETAIL_CLIENT_REDIRECTION_HPP
#define LARDER_REDIS_DETAIL_CLIENT_REDIRECTION_HPP

#include <larder/redis/detail/client/hash_slot.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// A number of nothing but digits, at most `most`.
[[nodiscard]] inline std::optional<std::uint16_t> parse_number(std::string_view digits,
                                                               std::uint16_t most) noexcept {
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size() || value > most) {
        return std::nullopt;
    }
    return value;
}

/// A node as another one names it.
///
/// @param host   empty or "?": the one that was asked, by the address that it was asked at
/// @return  empty: it makes no sense
[[nodiscard]] inline std::optional<Endpoint> announced(std::string_view host, std::string_view port,
                                                       const Endpoint& asked) {
    const auto number = parse_number(port, 65535);
    if (!number || *number == 0 || host.size() > 255 ||
        std::any_of(host.begin(), host.end(), [](char c) { return c <= ' ' || c > '~'; })) {
        return std::nullopt;
    }
    return Endpoint{host.empty() || host == "?" ? asked.host : std::string{host}, *number};
}

/// Says that a command was not carried out, and what to do about it. "Redis cluster specification",
/// Redis documentation: MOVED and ASK redirection, multi-key operations.
struct Redirection {
    enum class Kind : std::uint8_t {
        none,       ///< it is an answer
        moved,      ///< another node has the slot
        ask,        ///< another node is getting the slot, and has the key: to be asked this once
        try_again,  ///< the slot is on its way, and some of the keys have arrived
        down,       ///< the slot is served nowhere at the moment
    };
    Kind kind{Kind::none};
    Endpoint to{};  ///< of `moved` and `ask`

    /// Reads an error reply. What is no redirection, or a spoilt one, is an answer.
    ///
    /// @param asked  the node that gave it
    [[nodiscard]] static Redirection of(std::string_view error, const Endpoint& asked) {
        const bool moved = error.starts_with("MOVED ");
        if (moved || error.starts_with("ASK ")) {
            error.remove_prefix(moved ? 6 : 4);
            const auto space = error.find(' ');
            const auto colon = error.rfind(':');
            if (space == std::string_view::npos || colon == std::string_view::npos ||
                colon < space || !parse_number(error.substr(0, space), hash_slots - 1)) {
                return {};
            }
            auto to = announced(error.substr(space + 1, colon - space - 1), error.substr(colon + 1),
                                asked);
            return to ? Redirection{moved ? Kind::moved : Kind::ask, *std::move(to)}
                      : Redirection{};
        }
        return {error.starts_with("TRYAGAIN")      ? Kind::try_again
                : error.starts_with("CLUSTERDOWN") ? Kind::down
                                                   : Kind::none,
                {}};
    }
};

/// What becomes of a command, redirection after redirection. It holds no clock.
class RedirectionSteps {
public:
    using duration = std::chrono::steady_clock::duration;

    enum class Do : std::uint8_t {
        deliver,  ///< the reply is the caller's
        go,       ///< send it where the reply says
        ask,      ///< the same, with ASKING before it
        reroute,  ///< send it to whoever has its slot, as far as is known
    };
    struct Step {
        Do what{Do::deliver};
        duration pause{0};  ///< before that
    };

    /// So often a command is redirected at once: nodes that do not agree yet need time to.
    static constexpr std::size_t at_once = 4;

    /// So often in all, however long the command may take.
    static constexpr std::size_t most = 200;

    /// The next step.
    ///
    /// @param left  of the command's time
    [[nodiscard]] Step next(Redirection::Kind reply, duration left) noexcept {
        using Kind = Redirection::Kind;
        if (reply == Kind::none || steps_ == most) {
            return {};
        }
        const bool directed = reply == Kind::moved || reply == Kind::ask;
        const duration wait = directed && steps_ < at_once ? duration{0} : pause();
        ++steps_;
        if (left <= wait) {
            return {};
        }
        return {directed ? reply == Kind::ask ? Do::ask : Do::go : Do::reroute, wait};
    }

private:
    // 1, 2, 4 … 32 ms.
    [[nodiscard]] duration pause() noexcept {
        return std::chrono::milliseconds{1 << (std::min)(pauses_++, 5)};
    }

    std::size_t steps_{0};
    int pauses_{0};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_REDIRECTION_HPP
