// SPDX-License-Identifier: MIT

/// @file
/// Allocations that fail on command. Included by one translation unit of a program: it replaces
/// operator new.

#ifndef LARDER_TESTS_SUPPORT_FAILING_NEW_HPP
#define LARDER_TESTS_SUPPORT_FAILING_NEW_HPP

#include "support/failing.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace larder_test {

// Not inlined: a compiler that sees free() behind operator delete warns of a mismatch.
[[gnu::noinline]] inline void* room_for(std::size_t size) noexcept {
    return Failing::fails(Fault::allocation) ? nullptr : std::malloc(size != 0 ? size : 1);
}
inline void* room_or_throw(std::size_t size) {
    if (void* const room = room_for(size)) {
        return room;
    }
    throw std::bad_alloc{};
}

[[gnu::noinline]] inline void give_back(void* room) noexcept {
    std::free(room);
}

}  // namespace larder_test

// All forms but those for over-aligned types: a sanitizer's own do not call each other.
void* operator new(std::size_t size) {
    return larder_test::room_or_throw(size);
}
void* operator new[](std::size_t size) {
    return larder_test::room_or_throw(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return larder_test::room_for(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return larder_test::room_for(size);
}
void operator delete(void* room) noexcept {
    larder_test::give_back(room);
}
void operator delete[](void* room) noexcept {
    larder_test::give_back(room);
}
void operator delete(void* room, std::size_t) noexcept {
    larder_test::give_back(room);
}
void operator delete[](void* room, std::size_t) noexcept {
    larder_test::give_back(room);
}

#endif  // LARDER_TESTS_SUPPORT_FAILING_NEW_HPP
