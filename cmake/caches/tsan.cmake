# SPDX-License-Identifier: MIT
# cmake -C cmake/caches/tsan.cmake -B build/tsan: by g++, optimised: the tests that have threads with
# ThreadSanitizer, what fails every step without, and all others compiled, not run.
set(CMAKE_CXX_COMPILER g++ CACHE STRING "")
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELEASE -O1 CACHE STRING "")  # functions have names in a report, lines are not worth their time
set(LARDER_SANITIZE thread CACHE STRING "")
set(LARDER_WERROR ON CACHE BOOL "")
set(LARDER_BUILD_TESTS ON CACHE BOOL "")
set(LARDER_BUILD_EXAMPLES OFF CACHE BOOL "")
