# SPDX-License-Identifier: MIT
# cmake -C cmake/caches/tsan.cmake -B build/tsan: by g++, optimised: the tests that have threads with
# ThreadSanitizer, what walks the protocol and fails its steps without, and all others compiled, not run.
set(CMAKE_CXX_COMPILER g++ CACHE STRING "")
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
# Functions have names in a report; lines are not worth their time. What only an optimiser believes to see, wrongly
# at times, is no error.
string(JOIN " " larder_flags -O1 -Wno-error=array-bounds -Wno-error=dangling-pointer -Wno-error=free-nonheap-object
    -Wno-error=maybe-uninitialized -Wno-error=mismatched-new-delete -Wno-error=nonnull -Wno-error=restrict
    -Wno-error=stringop-overflow -Wno-error=stringop-overread -Wno-error=use-after-free)
set(CMAKE_CXX_FLAGS_RELEASE "${larder_flags}" CACHE STRING "")
set(LARDER_SANITIZE thread CACHE STRING "")
set(LARDER_WERROR ON CACHE BOOL "")
set(LARDER_BUILD_TESTS ON CACHE BOOL "")
set(LARDER_BUILD_EXAMPLES OFF CACHE BOOL "")
