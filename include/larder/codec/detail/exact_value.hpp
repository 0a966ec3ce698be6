// SPDX-License-Identifier: MIT

/// @file
/// A document as a value that says the same: nlohmann_json itself makes 1 of 4294967297, of 1.9 and of
/// true where an int is wanted.

#ifndef LARDER_CODEC_DETAIL_EXACT_VALUE_HPP
#define LARDER_CODEC_DETAIL_EXACT_VALUE_HPP

#include <larder/version.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// A document that a value was read from says something else than the value.
class OtherValue : public std::invalid_argument {
public:
    OtherValue()
        : invalid_argument{
              "they do not say what the value made of them says: a number out of range or "
              "with a fraction, or another type"} {}
};

[[nodiscard]] inline bool negative(const nlohmann::json& integer) {
    return !integer.is_number_unsigned() && integer.get<std::int64_t>() < 0;
}

[[nodiscard]] inline bool same_number(const nlohmann::json& given, const nlohmann::json& again) {
    if (given.is_number_float() || again.is_number_float()) {
        // An integer becomes a real number; no real number an integer, nor does a finite one become
        // infinite. How a float rounds is its own affair.
        return again.is_number_float() &&
               std::isfinite(given.get<double>()) == std::isfinite(again.get<double>());
    }
    return given == again && negative(given) == negative(again);  // for `==`, -1 is 2^64 - 1
}

/// Whether what a value is written as, `again`, has the kinds, the numbers and the booleans of the
/// document that it was read from. Members that only one has are left out, and so is null: it stands
/// for what the type says. Text may be another: a type may write it in one way and read it in many.
[[nodiscard]] inline bool says_the_same(const nlohmann::json& given, const nlohmann::json& again) {
    if (given.is_null() || again.is_null()) {
        return true;
    }
    if (given.is_number() && again.is_number()) {
        return same_number(given, again);
    }
    if (given.type() != again.type()) {
        return false;
    }
    if (again.is_object()) {
        const auto& members = again.get_ref<const nlohmann::json::object_t&>();
        return std::all_of(members.begin(), members.end(), [&](const auto& member) {
            const auto at = given.find(member.first);
            return at == given.end() || says_the_same(*at, member.second);
        });
    }
    if (again.is_array()) {
        return std::equal(given.begin(), given.end(), again.begin(), again.end(), says_the_same);
    }
    return !again.is_boolean() || given == again;
}

/// The parts of arrays in the order of their text: that of an unordered set may differ each time. It
/// hides no number that changed: then the parts differ in any order.
inline void sort_arrays(nlohmann::json& document) {
    if (document.is_structured()) {
        for (nlohmann::json& part : document) {
            sort_arrays(part);
        }
    }
    if (!document.is_array()) {
        return;
    }
    std::multimap<std::string, nlohmann::json, std::less<>> parts;
    for (nlohmann::json& part : document) {
        std::string text = part.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        parts.emplace(std::move(text), std::move(part));
    }
    std::transform(parts.begin(), parts.end(), document.begin(),
                   [](auto& part) { return std::move(part.second); });
}

[[nodiscard]] inline bool says_the_same_in_any_order(nlohmann::json given, nlohmann::json again) {
    sort_arrays(given);
    sort_arrays(again);
    return says_the_same(given, again);
}

/// @throws OtherValue  the value would not be what the document says
template <class V>
[[nodiscard]] V checked_value(const nlohmann::json& document) {
    V value = document.get<V>();
    nlohmann::json again(value);
    if (!says_the_same(document, again) &&
        !says_the_same_in_any_order(document, std::move(again))) {
        throw OtherValue{};
    }
    return value;
}

/// The real numbers of a document that not every type of integer can hold: to ask nlohmann_json for
/// an integer is undefined with them. As long as this lives, others that differ stand in their place.
class TamedNumbers {
public:
    explicit TamedNumbers(nlohmann::json& document) {
        find(document);
        for (std::size_t i = 0; i < places_.size(); ++i) {
            *places_[i].at = stand_in(places_[i].number, i);
        }
    }
    TamedNumbers(const TamedNumbers&) = delete;
    TamedNumbers& operator=(const TamedNumbers&) = delete;
    ~TamedNumbers() {
        for (const Place& place : places_) {
            *place.at = place.number;
        }
    }

    [[nodiscard]] bool empty() const noexcept { return places_.empty(); }

    /// None is so great that it would be infinite as a float.
    [[nodiscard]] bool fit_a_float() const noexcept {
        return std::all_of(places_.begin(), places_.end(), [](const Place& place) {
            return !(std::abs(place.number) >
                     static_cast<double>((std::numeric_limits<float>::max)()));
        });
    }

private:
    struct Place {
        double* at;
        double number;
    };

    void find(nlohmann::json& document) {
        if (document.is_structured()) {
            for (nlohmann::json& part : document) {
                find(part);
            }
        } else if (auto* const number = document.get_ptr<nlohmann::json::number_float_t*>()) {
            if (!(*number > -1.0 && *number < 128.0)) {  // a NaN is not between them
                places_.push_back({number, *number});
            }
        }
    }

    // Fractions within the range of every integer, of the same sign, and no two the same.
    [[nodiscard]] double stand_in(double number, std::size_t i) const noexcept {
        const double fraction =
            (static_cast<double>(i) + 1.0) / (static_cast<double>(places_.size()) + 1.0);
        return number < 0 ? fraction - 1.0 : 126.0 + fraction;
    }

    std::vector<Place> places_{};
};

/// Whether it is known already that the document's numbers come through: they did, with the wild
/// ones tamed.
///
/// @throws std::exception  they do not
template <class V>
[[nodiscard]] bool kept_its_numbers_tamed(nlohmann::json& document) {
    const TamedNumbers numbers{document};
    if (numbers.empty()) {
        return false;
    }
    try {
        (void)checked_value<V>(document);
        return numbers.fit_a_float();
    } catch (const nlohmann::json::exception&) {
        throw;
    } catch (const OtherValue&) {
        throw;
    } catch (...) {  // a rule of the type's own, which the true numbers may keep
        return false;
    }
}

/// The value that a document stands for.
///
/// @throws std::exception  it is none of V: nlohmann_json does not take it for one, or would change a
///                         number
template <class V>
[[nodiscard]] V exact_value(nlohmann::json& document) {
    return kept_its_numbers_tamed<V>(document) ? document.get<V>() : checked_value<V>(document);
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_CODEC_DETAIL_EXACT_VALUE_HPP
