// SPDX-License-Identifier: MIT

/// @file
/// What something throws.

#ifndef LARDER_TESTS_SUPPORT_CAUGHT_HPP
#define LARDER_TESTS_SUPPORT_CAUGHT_HPP

#include <larder/larder.hpp>

#include <exception>
#include <optional>
#include <string>

namespace larder_test {

/// Empty if nothing is thrown. Named in tsan.supp, and therefore never inlined.
template <class F>
[[gnu::noinline]] std::optional<larder::Errc> caught(F&& f) {
    try {
        f();
    } catch (const larder::Error& error) {
        return static_cast<larder::Errc>(error.code().value());
    }
    return std::nullopt;
}

/// What the exception that something throws says; empty if nothing is thrown. Named in tsan.supp,
/// and therefore never inlined.
template <class F>
[[gnu::noinline]] std::string caught_text(F&& f) {
    try {
        f();
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_CAUGHT_HPP
