#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tidy.sh [INCLUDE]: what clang-tidy finds in larder's headers; .clang-tidy says which checks are left out, and why.
# Headers of optional components are left out where their dependency is not installed; where clang-tidy is not, this
# says so and ends with 77, which CTest counts as skipped.
set -uo pipefail
include=$(cd "${1:-$(dirname "$0")/../../include}" && pwd)
command -v clang-tidy >/dev/null || { echo "skipped: clang-tidy is not installed (apt install clang-tidy)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/headers.cpp" <<'HEADERS'
#include <larder/larder.hpp>
#if __has_include(<nlohmann/json.hpp>)
#include <larder/json.hpp>
#endif
#if __has_include(<hiredis/hiredis.h>)
#include <larder/redis.hpp>
#endif
#if __has_include(<sqlite3.h>)
#include <larder/sqlite.hpp>
#endif
#if __has_include(<hiredis/hiredis.h>) && __has_include(<openssl/ssl.h>)
#include <larder/tls.hpp>
#endif
#if __has_include(<zstd.h>)
#include <larder/zstd.hpp>
#endif
HEADERS
clang-tidy --quiet --config-file="$include/../.clang-tidy" --warnings-as-errors='*' "$work/headers.cpp" \
    -- -std=c++20 -I "$include" 2>"$work/log" || { cat "$work/log"; exit 1; }
