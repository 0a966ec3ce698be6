// SPDX-License-Identifier: MIT

/// @file
/// What redis::Client throws: the server could not be asked, or it answered with an error.

#ifndef LARDER_REDIS_ERROR_HPP
#define LARDER_REDIS_ERROR_HPP

#include <larder/error.hpp>
#include <larder/version.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis {

/// What became of a command that got no reply.
enum class Outcome {
    not_sent,  ///< the server has not seen it
    unknown,   ///< it may have been carried out, or may be still
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::not_sent: return "not_sent";
        case Outcome::unknown: return "unknown";
    }
    return "unknown";
}

/// There is no reply: the server could not be reached, did not answer, or was not asked.
class NoReply : public StoreError {
public:
    /// @param what  the text of the exception
    NoReply(const std::string& what, Outcome outcome) : StoreError{what}, outcome_{outcome} {}

    /// Whether the server may have seen the command.
    [[nodiscard]] Outcome outcome() const noexcept { return outcome_; }

private:
    Outcome outcome_;
};

/// No connection could be opened.
class ConnectError : public NoReply {
public:
    using NoReply::NoReply;
};

/// The command's deadline passed.
class TimeoutError : public NoReply {
public:
    using NoReply::NoReply;
};

/// The connection broke before the reply was there.
class ConnectionError : public NoReply {
public:
    using NoReply::NoReply;
};

/// The server failed a moment ago and is not being asked: thrown at once, without a round trip. The
/// outcome is unknown only if a part had been sent before it failed.
class BreakerOpen : public NoReply {
public:
    /// @param what  the text of the exception
    explicit BreakerOpen(const std::string& what, Outcome outcome = Outcome::not_sent)
        : NoReply{what, outcome} {}
};

/// The server answered with an error.
class ReplyError : public StoreError {
public:
    /// @param what   the text of the exception
    /// @param reply  what the server said
    ReplyError(const std::string& what, std::string reply)
        : StoreError{what}, reply_{std::make_shared<const std::string>(std::move(reply))} {}

    /// What the server said: "WRONGTYPE Operation against a key …".
    [[nodiscard]] std::string_view reply() const noexcept { return *reply_; }

    /// Its first word, which tells its kind: "OOM", "WRONGTYPE", "READONLY", "NOPERM", "BUSY", "ERR".
    [[nodiscard]] std::string_view prefix() const noexcept {
        return reply().substr(0, reply().find(' '));
    }

private:
    std::shared_ptr<const std::string> reply_;  // shared: an exception must copy without throwing
};

/// The server asks for a user and a password, or does not accept those that it was given.
class AuthError : public ReplyError {
public:
    using ReplyError::ReplyError;
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_ERROR_HPP
