// SPDX-License-Identifier: MIT

/// @file
/// CborCodec and MsgPackCodec: values as compact bytes, by nlohmann_json.

#ifndef LARDER_CODEC_CBOR_HPP
#define LARDER_CODEC_CBOR_HPP

#include <larder/codec/detail/nesting.hpp>
#include <larder/codec/json.hpp>
#include <larder/version.hpp>

#include <string>
#include <string_view>

LARDER_NS_BEGIN

namespace detail {

struct CborFormat {
    static constexpr const char* name = "CBOR";
    static constexpr bool textual = false;

    static std::string_view flaw(std::string_view bytes) noexcept {
        return binary_flaw(bytes, cbor_item);
    }
    template <class Document>
    static std::string write(const Document& document) {
        std::string bytes;
        Document::to_cbor(document, bytes);
        return bytes;
    }
    template <class Document>
    static Document read(std::string_view bytes) {
        return Document::from_cbor(bytes);
    }
};

struct MsgPackFormat {
    static constexpr const char* name = "MessagePack";
    static constexpr bool textual = false;

    static std::string_view flaw(std::string_view bytes) noexcept {
        return binary_flaw(bytes, msgpack_item);
    }
    template <class Document>
    static std::string write(const Document& document) {
        std::string bytes;
        Document::to_msgpack(document, bytes);
        return bytes;
    }
    template <class Document>
    static Document read(std::string_view bytes) {
        return Document::from_msgpack(bytes);
    }
};

}  // namespace detail

/// Values as CBOR (RFC 8949), for types that JsonCodec takes. It also holds text that is not UTF-8,
/// and numbers that are not finite.
///
/// `encode` throws CodecError for a value that nests deeper than 128, `decode` for bytes that are
/// not CBOR, or not of a V.
///
/// Thread safety: stateless.
template <class V>
struct CborCodec : detail::DocumentCodec<V, detail::CborFormat> {};

/// Values as MessagePack; everything else as for CborCodec.
///
/// Thread safety: stateless.
template <class V>
struct MsgPackCodec : detail::DocumentCodec<V, detail::MsgPackFormat> {};

LARDER_NS_END

#endif  // LARDER_CODEC_CBOR_HPP
