# SPDX-License-Identifier: MIT
# cmake -C cmake/caches/clang.cmake -B build/clang: by clang++ (g++ where there is none), optimised and without
# assertions: what the sanitizers' builds leave out. Of the tests those that race.
find_program(larder_clang clang++)
if(larder_clang)
    set(CMAKE_CXX_COMPILER clang++ CACHE STRING "")
endif()
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG" CACHE STRING "")
set(LARDER_TEST_FILTER "^integration/.*/(races|stress|history|memory_stress)\\.cpp$" CACHE STRING "")
set(LARDER_WERROR ON CACHE BOOL "")
set(LARDER_BUILD_TESTS ON CACHE BOOL "")
set(LARDER_BUILD_BENCHMARKS ON CACHE BOOL "")
