// SPDX-License-Identifier: MIT

/// @file
/// A Lua script, and the name under which servers remember it.

#ifndef LARDER_REDIS_SCRIPT_HPP
#define LARDER_REDIS_SCRIPT_HPP

#include <larder/redis/detail/client/sha1.hpp>
#include <larder/version.hpp>

#include <memory>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace redis {

/// A script for Pipeline::script. Make it once: its name is computed here. Copies share the body.
class Script {
public:
    /// @param body  its source
    explicit Script(std::string body) {
        std::string sha = detail::sha1_hex(body);
        content_ = std::make_shared<const Content>(Content{std::move(body), std::move(sha)});
    }

    /// The source.
    [[nodiscard]] const std::string& body() const noexcept { return content_->body; }

    /// Its SHA-1, as 40 hexadecimal digits.
    [[nodiscard]] const std::string& sha() const noexcept { return content_->sha; }

private:
    struct Content {
        std::string body{};
        std::string sha{};
    };
    std::shared_ptr<const Content> content_;
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_SCRIPT_HPP
