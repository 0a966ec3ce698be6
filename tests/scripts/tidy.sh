#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tidy.sh INCLUDE SOURCE…: what clang-tidy finds in larder's headers, as .clang-tidy says; each SOURCE includes some.
# Where clang-tidy is not installed it says so and ends with 77, which CTest counts as skipped.
set -uo pipefail
include=$1
shift
command -v clang-tidy >/dev/null || { echo "skipped: clang-tidy is not installed (apt install clang-tidy)"; exit 77; }
clang-tidy --quiet --warnings-as-errors='*' "$@" -- -std=c++20 -I "$include" 2> >(grep -v 'warnings generated\|Suppressed\|Use -header-filter' >&2)
