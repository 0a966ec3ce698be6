#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# include_cost.sh COMPILER INCLUDE
# The umbrella may cost 2.4 times the user CPU time of the standard headers that it cannot do without, and
# must not pull in what only optional components need.
set -euo pipefail
compiler=$1 include=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for header in algorithm atomic chrono concepts condition_variable functional memory mutex optional \
    shared_mutex span stdexcept stop_token string system_error thread tuple unordered_map vector; do
    echo "#include <$header>"
done >"$work/std.cpp"
echo '#include <larder/larder.hpp>' >"$work/larder.cpp"
cost() { # user CPU milliseconds of one compilation
    local TIMEFORMAT='%U'
    { time "$compiler" -std=c++20 -fsyntax-only -I "$include" "$work/$1.cpp"; } 2>&1 | awk '{ printf "%d\n", $1 * 1000 }'
}
cost std >/dev/null
cost larder >/dev/null # warm up
for _ in 1 2 3 4 5 6 7 8 9; do # in turn, so that a slow moment meets both
    cost std >>"$work/std.ms"
    cost larder >>"$work/larder.ms"
done
least() { sort -n "$1" | head -n 1; } # what else the machine does only adds
std=$(least "$work/std.ms") ours=$(least "$work/larder.ms")
ratio=$(awk -v a="$ours" -v b="$std" 'BEGIN { printf "%.2f", a / b }')
echo "<larder/larder.hpp> ${ours} ms, its standard headers ${std} ms, ratio ${ratio} (at most 2.4)"
pulled=$("$compiler" -std=c++20 -M -I "$include" "$work/larder.cpp" | tr ' ' '\n' |
    grep -E 'nlohmann|hiredis|/(iostream|regex|sqlite3\.h|zstd\.h)$' || true)
[[ -z $pulled ]] || { echo "pulled in: $pulled"; exit 1; }
awk -v r="$ratio" 'BEGIN { exit !(r <= 2.4) }'
