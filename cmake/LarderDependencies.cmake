# SPDX-License-Identifier: MIT
include_guard()

# Built libraries are not among them: hiredis and zstd come with every distribution, with its fixes.
set(larder_fetchable nlohmann_json Catch2)

# larder_fetch(<package>): the only code path that touches the network; LARDER_FETCH_DEPS=ON only.
# SOURCE_SUBDIR none + add_subdirectory: EXCLUDE_FROM_ALL keeps the dependency's tests and install
# rules out of ours (FetchContent_Declare has that option only from CMake 3.28).
function(larder_fetch package)
    include(FetchContent)
    set(url_nlohmann_json https://github.com/nlohmann/json/archive/refs/tags/v3.11.3.tar.gz)
    set(url_Catch2        https://github.com/catchorg/Catch2/archive/refs/tags/v3.7.1.tar.gz)
    set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)  # let the line below reach a dependency's option()
    set(JSON_Install ON)  # gives nlohmann_json an export set for ours to refer to
    FetchContent_Declare(${package} URL ${url_${package}} SOURCE_SUBDIR none)
    FetchContent_MakeAvailable(${package})
    string(TOLOWER ${package} lc)
    add_subdirectory(${${lc}_SOURCE_DIR} ${${lc}_BINARY_DIR} EXCLUDE_FROM_ALL SYSTEM)
    set(${package}_SOURCE_DIR ${${lc}_SOURCE_DIR} PARENT_SCOPE)
endfunction()
