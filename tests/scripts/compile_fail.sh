#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# compile_fail.sh COMPILER INCLUDE CASE
# CASE must not compile, and the first error must contain the text of its line `// expect: TEXT`;
# with LARDER_FIXED defined the same file must compile, so that the error has the one cause meant.
set -uo pipefail
compiler=$1 include=$2 case=$3
expected=$(sed -n 's|^// expect: ||p' "$case" | head -1)
[[ -n $expected ]] || { echo "$case: no line '// expect: TEXT'"; exit 1; }
if output=$("$compiler" -std=c++20 -fsyntax-only -I "$include" "$case" 2>&1); then
    echo "$case compiles, but must not"
    exit 1
fi
first=$(grep -m1 'error' <<<"$output")
if [[ $first != *"$expected"* ]]; then
    printf 'expected as the first error: %s\nbut it is: %s\n' "$expected" "$first"
    exit 1
fi
"$compiler" -std=c++20 -fsyntax-only -DLARDER_FIXED -I "$include" "$case" ||
    { echo "$case does not compile with LARDER_FIXED either"; exit 1; }
