// SPDX-License-Identifier: MIT

/// @file
/// The code of the error that something throws.

#ifndef LARDER_TESTS_SUPPORT_CAUGHT_HPP
#define LARDER_TESTS_SUPPORT_CAUGHT_HPP

#include <larder/larder.hpp>

#include <optional>

namespace larder_test {

/// Empty if nothing is thrown. Named in tsan.supp.
template <class F>
std::optional<larder::Errc> caught(F&& f) {
    try {
        f();
    } catch (const larder::Error& error) {
        return static_cast<larder::Errc>(error.code().value());
    }
    return std::nullopt;
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_CAUGHT_HPP
