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
sources() { find include tests examples \( -name '*.hpp' -o -name '*.cpp' \) -print0; }
if [[ ${1:-} != --check ]]; then
    sources | xargs -0 "$formatter" -i
    exit
fi
failed=0
while IFS= read -r -d '' source; do
    "$formatter" "$source" | cmp -s - "$source" || { echo "not formatted: $source"; failed=1; }
done < <(sources)
((failed == 0)) || { echo "tests/scripts/format.sh formats them"; exit 1; }
