// SPDX-License-Identifier: MIT

/// @file
/// The version, and the inline namespace that carries it: the one place where either is written.

#ifndef LARDER_VERSION_HPP
#define LARDER_VERSION_HPP

#if defined(LARDER_VERSION)
#error "larder: two different versions of the library meet in this translation unit"
#endif

#define LARDER_VERSION_MAJOR 0
#define LARDER_VERSION_MINOR 1
#define LARDER_VERSION_PATCH 0

/// One number to compare with: 10,000 * major + 100 * minor + patch.
#define LARDER_VERSION \
    (LARDER_VERSION_MAJOR * 10000 + LARDER_VERSION_MINOR * 100 + LARDER_VERSION_PATCH)

#if !defined(__cpp_exceptions)
#error "larder: exceptions are needed: failures are reported by them"
#endif

#if defined(__cplusplus) && __cplusplus < 202002L && !defined(_MSVC_LANG)
#error "larder: C++20 is needed: compile with -std=c++20 or later"
#endif

// The major version names the inline namespace, so that two versions in one program do not mix.
#define LARDER_NS_BEGIN \
    namespace larder {  \
    inline namespace v0 {
#define LARDER_NS_END \
    }                 \
    }

#endif  // LARDER_VERSION_HPP
