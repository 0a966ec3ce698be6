// SPDX-License-Identifier: MIT

/// @file
/// What a Redis server answered.

#ifndef LARDER_REDIS_REPLY_HPP
#define LARDER_REDIS_REPLY_HPP

#include <larder/redis/error.hpp>
#include <larder/version.hpp>

#include <hiredis/hiredis.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

LARDER_NS_BEGIN

namespace redis {

/// A view of a Reply, or at an element of one, that must outlive it.
class ReplyView {
public:
    enum class Kind : std::uint8_t { nil, string, status, error, integer, array };

    /// @param reply  null: nil
    explicit ReplyView(const redisReply* reply) noexcept : reply_{reply} {}

    /// What it is.
    [[nodiscard]] Kind kind() const noexcept {
        if (reply_ == nullptr) {
            return Kind::nil;
        }
        switch (reply_->type) {
            case REDIS_REPLY_NIL: return Kind::nil;
            case REDIS_REPLY_STATUS: return Kind::status;
            case REDIS_REPLY_ERROR: return Kind::error;
            case REDIS_REPLY_INTEGER: return Kind::integer;
            case REDIS_REPLY_STRING: return Kind::string;
            case REDIS_REPLY_ARRAY: return Kind::array;
            default: return Kind::nil;  // of RESP3, which is not asked for
        }
    }

    /// Whether its kind is that one.
    [[nodiscard]] bool is_nil() const noexcept { return kind() == Kind::nil; }
    [[nodiscard]] bool is_string() const noexcept { return kind() == Kind::string; }
    [[nodiscard]] bool is_status() const noexcept { return kind() == Kind::status; }
    [[nodiscard]] bool is_error() const noexcept { return kind() == Kind::error; }
    [[nodiscard]] bool is_integer() const noexcept { return kind() == Kind::integer; }
    [[nodiscard]] bool is_array() const noexcept { return kind() == Kind::array; }

    /// The bytes of a string, a status or an error; empty for all others.
    [[nodiscard]] std::string_view text() const noexcept {
        switch (kind()) {
            case Kind::string:
            case Kind::status:
            case Kind::error: return {reply_->str, static_cast<std::size_t>(reply_->len)};
            default: return {};
        }
    }

    /// @throws ReplyError  it is neither an integer nor a string that is one
    [[nodiscard]] std::int64_t integer() const {
        if (is_integer()) {
            return reply_->integer;
        }
        std::int64_t value = 0;
        const std::string_view digits = is_error() ? std::string_view{} : text();
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) {
            throw ReplyError{"redis: a reply is not an integer",
                             is_error() ? std::string{text()} : "ERR not an integer"};
        }
        return value;
    }

    /// How many elements an array has; 0 for all others.
    [[nodiscard]] std::size_t size() const noexcept {
        return is_array() ? static_cast<std::size_t>(reply_->elements) : 0;
    }

    /// An element of an array; nil where there is none: what a server answers may be of any shape.
    [[nodiscard]] ReplyView operator[](std::size_t index) const noexcept {
        return ReplyView{index < size() ? reply_->element[index] : nullptr};
    }

private:
    const redisReply* reply_;
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(ReplyView::Kind kind) noexcept {
    switch (kind) {
        case ReplyView::Kind::nil: return "nil";
        case ReplyView::Kind::string: return "string";
        case ReplyView::Kind::status: return "status";
        case ReplyView::Kind::error: return "error";
        case ReplyView::Kind::integer: return "integer";
        case ReplyView::Kind::array: return "array";
    }
    return "unknown";
}

/// A reply, with everything in it. It can be moved; one that was moved from, or was made of
/// nothing, is nil.
class Reply {
public:
    using Kind = ReplyView::Kind;

    /// Nil.
    Reply() noexcept = default;

    /// Takes what hiredis made.
    explicit Reply(redisReply* reply) noexcept : reply_{reply} {}

    /// A view of it, which it must outlive.
    operator ReplyView() const noexcept { return view(); }
    [[nodiscard]] ReplyView view() const noexcept { return ReplyView{reply_.get()}; }

    /// As those of ReplyView.
    [[nodiscard]] Kind kind() const noexcept { return view().kind(); }
    [[nodiscard]] bool is_nil() const noexcept { return view().is_nil(); }
    [[nodiscard]] bool is_string() const noexcept { return view().is_string(); }
    [[nodiscard]] bool is_status() const noexcept { return view().is_status(); }
    [[nodiscard]] bool is_error() const noexcept { return view().is_error(); }
    [[nodiscard]] bool is_integer() const noexcept { return view().is_integer(); }
    [[nodiscard]] bool is_array() const noexcept { return view().is_array(); }
    [[nodiscard]] std::string_view text() const noexcept { return view().text(); }
    [[nodiscard]] std::int64_t integer() const { return view().integer(); }
    [[nodiscard]] std::size_t size() const noexcept { return view().size(); }
    [[nodiscard]] ReplyView operator[](std::size_t index) const noexcept { return view()[index]; }

private:
    struct Free {
        void operator()(redisReply* reply) const noexcept { ::freeReplyObject(reply); }
    };
    std::unique_ptr<redisReply, Free> reply_{};
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_REPLY_HPP
