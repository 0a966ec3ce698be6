#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check_arguments.sh TOUR: the tour and run.sh say how they are used, and refuse what they do not know.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
failed=0
expect() { # expect STATUS COMMAND...: it ends so, and prints its usage
    local status=$1 output
    shift
    output=$("$@" 2>&1)
    local got=$?
    if ((got != status)) || [[ $output != *"usage: "* ]]; then
        echo "$*: ended with $got instead of $status: $output"
        failed=1
    fi
}
for program in "$1" "$here/run.sh"; do
    expect 0 "$program" --help
    expect 2 "$program" --nonsense
    expect 2 "$program" 1x
    expect 2 "$program" 1 two
    expect 2 "$program" ''
    expect 2 "$program" --redis
    expect 2 "$program" 1 --redis redis://127.0.0.1:6379
done
expect 2 "$1" 0
expect 2 "$1" 99
exit "$failed"
