#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# compile_fail.sh COMPILER INCLUDE PRECOMPILED CASE
# CASE must not compile, and the first error must contain the text of its line `// expect: TEXT`;
# with LARDER_FIXED defined the same file must compile, so that the error has the one cause meant.
# PRECOMPILED: a file with the flags that precompile.sh has printed for <larder/larder.hpp>.
set -uo pipefail
compiler=$1 include=$2 case=$4
read -ra precompiled <"$3"
flags=(-std=c++20 -fsyntax-only "${precompiled[@]}" -I "$include")
expected=$(sed -n 's|^// expect: ||p' "$case" | head -1)
[[ -n $expected ]] || { echo "$case: no line '// expect: TEXT'"; exit 1; }
if output=$("$compiler" "${flags[@]}" "$case" 2>&1); then
    echo "$case compiles, but must not"
    exit 1
fi
first=$(grep -m1 'error' <<<"$output")
if [[ $first != *"$expected"* ]]; then
    printf 'expected as the first error: %s\nbut it is: %s\n' "$expected" "$first"
    exit 1
fi
"$compiler" "${flags[@]}" -DLARDER_FIXED "$case" ||
    { echo "$case does not compile with LARDER_FIXED either"; exit 1; }
