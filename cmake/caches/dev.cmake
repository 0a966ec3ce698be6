# SPDX-License-Identifier: MIT
# cmake -C cmake/caches/dev.cmake -B build: everything on, warnings are errors.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(LARDER_WERROR ON CACHE BOOL "")
set(LARDER_BUILD_BENCHMARKS ON CACHE BOOL "")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON CACHE BOOL "")
