# SPDX-License-Identifier: MIT
# cmake -C cmake/caches/release.cmake -B build/release: as it is used; what tests/run.sh fleet runs for hours.
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(LARDER_BUILD_TESTS ON CACHE BOOL "")
