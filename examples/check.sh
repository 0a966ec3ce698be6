#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check.sh STEM PROGRAM [ARGUMENT…]: the program ends well and prints what STEM.output holds; or, where
# there is STEM.expect, each of its lines (an extended regular expression) matches a line that it prints.
set -uo pipefail
stem=$1
shift
output=$("$@") || { echo "$output"; echo "it failed"; exit 1; }
if [[ -e $stem.output ]]; then
    diff "$stem.output" - <<<"$output"
    exit
fi
failed=0
while IFS= read -r line; do
    grep -qE -- "$line" <<<"$output" || { echo "no line matches: $line"; failed=1; }
done <"$stem.expect"
((failed == 0)) || { echo "$output"; exit 1; }
