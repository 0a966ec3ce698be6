// SPDX-License-Identifier: MIT

/// @file
/// JsonCodec: values as JSON text, by nlohmann_json.

#ifndef LARDER_CODEC_JSON_HPP
#define LARDER_CODEC_JSON_HPP

#include <larder/codec/detail/exact_value.hpp>
#include <larder/codec/detail/nesting.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
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

template <class V>
concept WrittenAsDocument = JsonDocument<V> || std::constructible_from<nlohmann::json, const V&>;

template <class V>
concept ReadFromDocument = JsonDocument<V> || requires(const nlohmann::json& document, V& value) {
    nlohmann::adl_serializer<V>::from_json(document, value);
} || requires(const nlohmann::json& document) {
    { nlohmann::adl_serializer<V>::from_json(document) } -> std::same_as<V>;
};

/// A codec by way of a nlohmann::json in the given format.
template <class V, class Format>
struct DocumentCodec {
    static constexpr bool textual = Format::textual;

    /// @throws CodecError  the value has no such form
    [[nodiscard]] std::string encode(const V& value) const {
        static_assert(
            WrittenAsDocument<V>,
            "larder: JsonCodec, CborCodec and MsgPackCodec need nlohmann_json's to_json for the "
            "value (NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE, or nlohmann::adl_serializer for what is "
            "not yours, such as std::chrono)");
        try {
            if constexpr (JsonDocument<V>) {
                return written(value);
            } else if constexpr (WrittenAsDocument<V>) {
                return written(nlohmann::json(value));
            } else {
                return {};
            }
        } catch (const std::exception& error) {
            throw CodecError{std::string{"a value does not encode as "} + Format::name + ": " +
                             error.what()};
        }
    }

    /// @throws CodecError  the bytes are not of this format, or not of a V
    [[nodiscard]] V decode(std::string_view bytes) const {
        static_assert(
            ReadFromDocument<V>,
            "larder: JsonCodec, CborCodec and MsgPackCodec need nlohmann_json's from_json for the "
            "value (NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE, or nlohmann::adl_serializer for what is "
            "not yours, such as std::chrono)");
        try {
            if (const auto flaw = Format::flaw(bytes); !flaw.empty()) {
                throw std::invalid_argument{std::string{flaw}};
            }
            auto document = Format::template read<DocumentOf<V>>(bytes);
            if constexpr (JsonDocument<V>) {
                return document;
            } else if constexpr (WrittenAsDocument<V> && ReadFromDocument<V>) {
                return exact_value<V>(document);
            } else {
                throw std::invalid_argument{"there is no from_json"};  // said above
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

/// A shared value as the value itself; a null pointer as null.
template <class T, class Format>
struct DocumentCodec<std::shared_ptr<T>, Format> {
    static constexpr bool textual = Format::textual;

    /// @throws CodecError  the value has no such form, or is null itself
    [[nodiscard]] std::string encode(const std::shared_ptr<T>& value) const {
        if (value == nullptr) {
            return null();
        }
        std::string bytes = pointee.encode(*value);
        if (bytes == null()) {
            throw CodecError{"a value does not encode: it would come back as a null pointer"};
        }
        return bytes;
    }

    /// @throws CodecError  the bytes are not of this format, or not of a T
    [[nodiscard]] std::shared_ptr<T> decode(std::string_view bytes) const {
        return bytes == null() ? nullptr : std::make_shared<T>(pointee.decode(bytes));
    }

private:
    static std::string null() { return Format::write(nlohmann::json{}); }

    static constexpr DocumentCodec<std::remove_cv_t<T>, Format> pointee{};
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
/// not finite, nesting deeper than 128. `decode` throws it for text that is not JSON, or not of a V:
/// a number that is out of range, a fraction (1.0, too) for an integer, a number for a bool, or a
/// bool for a number is another value than the one that was written, wherever in V it stands.
/// To see that, `decode` writes what it has read and compares; `from_json` may be called twice.
/// What a type's own `from_json` takes in one kind (a number) and its `to_json` writes in another
/// (text) is therefore refused.
///
/// A `std::shared_ptr<const V>` is written as what it points to, a null pointer as null.
///
/// Thread safety: stateless.
template <class V>
struct JsonCodec : detail::DocumentCodec<V, detail::JsonFormat> {};

LARDER_NS_END

#endif  // LARDER_CODEC_JSON_HPP
