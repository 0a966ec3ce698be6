#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check.sh PROGRAM STEM: the program ends well and prints what STEM.output holds; or, where there is
# STEM.expect, each of its lines (an extended regular expression) matches a line of what it prints.
set -uo pipefail
output=$("$1") || { echo "$output"; echo "it failed"; exit 1; }
if [[ -e $2.output ]]; then
    diff "$2.output" - <<<"$output"
    exit
fi
failed=0
while IFS= read -r line; do
    grep -qE -- "$line" <<<"$output" || { echo "no line matches: $line"; failed=1; }
done <"$2.expect"
((failed == 0)) || { echo "$output"; exit 1; }
