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
    explicit Script(std::string body)
        : body_{std::make_shared<const std::string>(std::move(body))}, sha_{sha1_hex(*body_)} {}

    [[nodiscard]] const std::string& body() const noexcept { return *body_; }
    [[nodiscard]] const std::string& sha() const noexcept { return sha_; }

private:
    std::shared_ptr<const std::string> body_;
    std::string sha_;
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_SCRIPT_HPP
