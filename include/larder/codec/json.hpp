// SPDX-License-Identifier: MIT

/// @file
/// JsonCodec: values as JSON text, by nlohmann_json.

#ifndef LARDER_CODEC_JSON_HPP
#define LARDER_CODEC_JSON_HPP

#include <larder/error.hpp>
#include <larder/version.hpp>

#include <nlohmann/json.hpp>

#include <exception>
#include <string>
#include <string_view>

LARDER_NS_BEGIN

/// Values as JSON text that `redis-cli` shows and other programs read. A type needs nlohmann_json's
/// `to_json` and `from_json`, for example by NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE.
///
/// Thread safety: stateless.
template <class V>
struct JsonCodec {
    static constexpr bool textual = true;

    /// @throws CodecError  the value has no JSON form, such as text that is not UTF-8
    [[nodiscard]] std::string encode(const V& value) const {
        try {
            return nlohmann::json(value).dump();
        } catch (const std::exception& error) {
            throw CodecError{std::string{"a value does not encode as JSON: "} + error.what()};
        }
    }

    /// @throws CodecError  the text is not JSON, or not of a V
    [[nodiscard]] V decode(std::string_view text) const {
        try {
            return nlohmann::json::parse(text).template get<V>();
        } catch (const std::exception& error) {
            throw CodecError{std::string{"text does not decode as JSON: "} + error.what()};
        }
    }
};

LARDER_NS_END

#endif  // LARDER_CODEC_JSON_HPP
