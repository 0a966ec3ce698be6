// SPDX-License-Identifier: MIT

/// @file
/// What a call that failed throws.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CALL_FAILURE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CALL_FAILURE_HPP

#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/circuit_breaker.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/error.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// "redis 127.0.0.1:6379: GET product:42: ": what each message begins with.
[[nodiscard]] inline std::string about_call(std::string_view server, std::string_view command) {
    return "redis " + std::string{server} + ": " + std::string{command} + ": ";
}

/// "GET product:42 (of 8 commands)": the one that was not answered.
[[nodiscard]] inline std::string describe(const Call& call) {
    std::size_t begin = 0;
    ParsedCommand command;
    const std::size_t which = (std::min)(call.answered, call.commands - 1);
    for (std::size_t i = 0; i <= which; ++i) {
        command = parse_command(call.bytes, begin);
        begin = command.end;
    }
    std::string text = describe(command);
    if (call.commands > 1) {
        text += " (of " + std::to_string(call.commands) + " commands)";
    }
    return text;
}

/// What became of it, if it was not answered.
[[nodiscard]] inline Outcome outcome_of(const Call& call) noexcept {
    return call.sent ? Outcome::unknown : Outcome::not_sent;
}

/// The server failed a moment ago, and is not asked.
///
/// @param reason  of its breaker
[[noreturn]] inline void throw_refused(std::string_view server, const Call& call,
                                       const TripReason& reason) {
    const std::string about = about_call(server, describe(call));
    if (reason.credentials) {
        throw AuthError{about + reason.text, reason.text};
    }
    throw BreakerOpen{about + "not asked, since it failed a moment ago: " + reason.text,
                      outcome_of(call)};
}

/// Throws what its failure stands for, but for `none` and `refused`.
[[noreturn]] inline void throw_failure(std::string_view server, const Call& call) {
    using Failure = Call::Failure;
    const Outcome outcome = outcome_of(call);
    const std::string why = call.why                             ? *call.why
                            : call.failure == Failure::timed_out ? "no reply"
                                                                 : "out of memory";
    std::string what = about_call(server, describe(call));
    if (call.failure == Failure::credentials) {
        throw AuthError{what + why, why};
    }
    what += call.failure == Failure::connect     ? "cannot connect: "
            : call.failure == Failure::timed_out ? "timed out: "
                                                 : "the connection broke: ";
    what += why;
    what += call.sent ? "; it may have been carried out" : "; it was not sent";
    switch (call.failure) {
        case Failure::connect: throw ConnectError{what, outcome};
        case Failure::timed_out: throw TimeoutError{what, outcome};
        default: throw ConnectionError{what, outcome};
    }
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CALL_FAILURE_HPP
