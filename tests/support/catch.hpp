// SPDX-License-Identifier: MIT

/// @file
/// One include for Catch2 2.13 and 3.

#ifndef LARDER_TESTS_SUPPORT_CATCH_HPP
#define LARDER_TESTS_SUPPORT_CATCH_HPP

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#endif  // LARDER_TESTS_SUPPORT_CATCH_HPP
