// SPDX-License-Identifier: MIT

/// @file
/// All that the steps over slots know of values: that a codec makes bytes of them, and the other way.

#ifndef LARDER_REDIS_DETAIL_STORE_VALUES_HPP
#define LARDER_REDIS_DETAIL_STORE_VALUES_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Stands for a value in what the steps over slots hand back: the value itself went to a ValueSink.
struct Elsewhere {};

/// What a store says once of the type of its values.
struct ValueType {
    bool textual = true;  ///< as Codec::textual

    /// A flight that brings such a value.
    std::shared_ptr<larder::detail::AnyFlight> (*make_flight)() = nullptr;
};

/// That of a codec's values.
template <class V, class C>
[[nodiscard]] ValueType value_type_of() noexcept {
    return {C::textual, []() -> std::shared_ptr<larder::detail::AnyFlight> {
                return std::make_shared<larder::detail::Flight<V>>();
            }};
}

/// Where values go that were found in slots. Of one thread at a time.
class ValueSink {
public:
    /// What is decoded next is of this key, among those that are read at once.
    void turn_to(std::size_t place) noexcept { place_ = place; }

    /// Makes a value of a codec's bytes.
    ///
    /// @return false if they are none
    [[nodiscard]] virtual bool decode(std::string_view body) noexcept = 0;

protected:
    ~ValueSink() = default;

    [[nodiscard]] std::size_t place() const noexcept { return place_; }

private:
    std::size_t place_ = 0;
};

/// Values of a type, by the places of their keys.
template <class V, class C>
class Decoder final : public ValueSink {
public:
    /// @param codec, values  outlive it
    Decoder(const C& codec, std::span<std::optional<V>> values) noexcept
        : codec_{codec}, values_{values} {}

    [[nodiscard]] bool decode(std::string_view body) noexcept override {
        try {
            values_[place()].emplace(codec_.decode(body));
            return true;
        } catch (...) {
            return false;
        }
    }

private:
    const C& codec_;
    const std::span<std::optional<V>> values_;
};

/// Where the bytes of values come from that go into slots. Of one thread at a time.
class ValueSource {
public:
    /// What is encoded next is of this key, among those that are written at once.
    void turn_to(std::size_t place) noexcept { place_ = place; }

    /// The codec's bytes of the value; nothing: it is known to be absent.
    ///
    /// @throws anything  what the codec throws
    [[nodiscard]] virtual std::optional<std::string> encode() const = 0;

protected:
    ~ValueSource() = default;

    [[nodiscard]] std::size_t place() const noexcept { return place_; }

private:
    std::size_t place_ = 0;
};

/// Values of a type, by the places of their keys.
///
/// @tparam At  gives the value, or nothing, that is at a place
template <class C, class At>
class Encoder final : public ValueSource {
public:
    /// @param codec  outlives it
    Encoder(const C& codec, At at) noexcept : codec_{codec}, at_{std::move(at)} {}

    [[nodiscard]] std::optional<std::string> encode() const override {
        const auto& value = at_(place());
        return value ? std::optional<std::string>{codec_.encode(*value)} : std::nullopt;
    }

private:
    const C& codec_;
    const At at_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_VALUES_HPP
