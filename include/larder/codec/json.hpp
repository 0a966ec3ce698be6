// SPDX-License-Identifier: MIT

/// @file
/// JsonCodec: values as JSON text, by nlohmann_json.

#ifndef LARDER_CODEC_JSON_HPP
#define LARDER_CODEC_JSON_HPP

#include <larder/detail/nesting.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

LARDER_NS_BEGIN

namespace detail {

/// A value that is a document itself: nlohmann::json, nlohmann::ordered_json.
template <class V>
concept JsonDocument = requires {
    typename V::parser_callback_t;
    typename V::value_t;
};

template <class V>
using DocumentOf = std::conditional_t<JsonDocument<V>, V, nlohmann::json>;

/// Refuses, before it is written, what would not be read back as it was.
template <class Document>
void require_writable(const Document& document, bool anything, std::size_t depth = 0) {
    if (document.is_structured()) {
        if (depth == max_nesting) {
            throw std::length_error{std::string{nests_too_deep}};
        }
        for (const auto& part : document) {
            require_writable(part, anything, depth + 1);
        }
    } else if (!anything) {
        if (document.is_number_float() &&
            !std::isfinite(document.template get_ref<const typename Document::number_float_t&>())) {
            throw std::domain_error{"a number is not finite"};
        }
        if (document.is_binary()) {
            throw std::domain_error{"bytes are no text"};
        }
    }
}

/// A codec by way of a nlohmann::json in the given format.
template <class V, class Format>
struct DocumentCodec {
    static constexpr bool textual = Format::textual;

    /// @throws CodecError  the value has no such form
    [[nodiscard]] std::string encode(const V& value) const {
        try {
            if constexpr (JsonDocument<V>) {
                return written(value);
            } else {
                return written(nlohmann::json(value));
            }
        } catch (const std::exception& error) {
            throw CodecError{std::string{"a value does not encode as "} + Format::name + ": " +
                             error.what()};
        }
    }

    /// @throws CodecError  the bytes are not of this format, or not of a V
    [[nodiscard]] V decode(std::string_view bytes) const {
        try {
            if (const auto flaw = Format::flaw(bytes); !flaw.empty()) {
                throw std::invalid_argument{std::string{flaw}};
            }
            auto document = Format::template read<DocumentOf<V>>(bytes);
            if constexpr (JsonDocument<V>) {
                return document;
            } else {
                return document.template get<V>();
            }
        } catch (const std::exception& error) {
            throw CodecError{std::string{"bytes do not decode as "} + Format::name + ": " +
                             error.what()};
        }
    }

private:
    template <class Document>
    static std::string written(const Document& document) {
        require_writable(document, !textual);
        return Format::write(document);
    }
};

struct JsonFormat {
    static constexpr const char* name = "JSON";
    static constexpr bool textual = true;

    static std::string_view flaw(std::string_view text) noexcept { return json_flaw(text); }
    template <class Document>
    static std::string write(const Document& document) {
        return document.dump();
    }
    template <class Document>
    static Document read(std::string_view text) {
        return Document::parse(text);
    }
};

}  // namespace detail

/// Values as JSON text that `redis-cli` shows and other programs read. A type needs nlohmann_json's
/// `to_json` and `from_json`, for example by NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE.
///
/// `encode` throws CodecError for what JSON cannot hold: text that is not UTF-8, numbers that are
/// not finite, nesting deeper than 128. `decode` throws it for text that is not JSON, or not of a V.
///
/// Thread safety: stateless.
template <class V>
struct JsonCodec : detail::DocumentCodec<V, detail::JsonFormat> {};

LARDER_NS_END

#endif  // LARDER_CODEC_JSON_HPP
