#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# format.sh [--check]: formats every source as .clang-format says; --check only compares.
# Where clang-format 16 is not installed it says so and ends with 77, which CTest counts as skipped.
set -uo pipefail
cd "$(dirname "$0")/../.."
formatter=
for candidate in clang-format-16 clang-format; do
    if command -v "$candidate" >/dev/null && [[ $("$candidate" --version) == *"version 16."* ]]; then
        formatter=$candidate
        break
    fi
done
[[ -n $formatter ]] || { echo "skipped: clang-format 16 is not installed (apt install clang-format-16)"; exit 77; }
action=(-i)
[[ ${1:-} == --check ]] && action=(--dry-run -Werror)
find include tests examples \( -name '*.hpp' -o -name '*.cpp' \) -print0 | xargs -0 "$formatter" "${action[@]}"
