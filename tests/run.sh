#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/run.sh [asan|tsan|clang]: installs what is missing, builds, runs every test.
#
#   asan   g++, Debug, AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan   g++, ThreadSanitizer
#   clang  clang++, Release, warnings are errors; consumers, README, compile errors, models, examples
#
# The last line is `N passed, N failed`. Build folders: $LARDER_BUILD_DIR, else build/.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${LARDER_BUILD_DIR:-$root/build}
mkdir -p "$build"
passed=0 failed=0

install() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    local sudo=()
    if [[ $(id -u) != 0 ]]; then
        if ! sudo -n true 2>/dev/null; then
            echo "missing, and not allowed to install: sudo apt-get install ${missing[*]}"
            return 1
        fi
        sudo=(sudo -n)
    fi
    echo "installing ${missing[*]}"
    "${sudo[@]}" apt-get update -qq >"$build/apt.log" 2>&1
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$build/apt.log" 2>&1 ||
        { tail -5 "$build/apt.log"; return 1; }
}
if command -v apt-get >/dev/null; then
    install g++ cmake make pkg-config catch2 libbenchmark-dev nlohmann-json3-dev libsqlite3-dev iso-codes ||
        { echo "0 passed, 1 failed"; exit 1; }
    # Without these, what needs them is left out.
    install clang clang-format-14 spin || true
fi

generator=()
command -v ninja >/dev/null && generator=(-G Ninja)
launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)

# run NAME CTEST-ARGUMENTS -- CMAKE-ARGUMENTS
run() {
    local name=$1 select=() dir=$build/$1 log=$build/$1.log
    shift
    while [[ $1 != -- ]]; do
        select+=("$1")
        shift
    done
    shift
    echo "== $name"
    if ! cmake -S "$root" -B "$dir" "${generator[@]}" "${launcher[@]}" "$@" >"$log" 2>&1 ||
        ! cmake --build "$dir" -j "$(nproc)" >>"$log" 2>&1; then
        grep -E -A5 'error|Error' "$log" | head -60 || tail -40 "$log"
        echo "   $name does not build: $log"
        failed=$((failed + 1))
        return
    fi
    (cd "$dir" && ctest -j "$(nproc)" --output-on-failure --output-junit "$build/$name.xml" "${select[@]}") \
        >"$build/$name.ctest.log" 2>&1
    local total bad
    total=$(grep -o ' tests="[0-9]*"' "$build/$name.xml" 2>/dev/null | head -1 | tr -dc 0-9)
    bad=$(grep -o ' failures="[0-9]*"' "$build/$name.xml" 2>/dev/null | head -1 | tr -dc 0-9)
    if [[ -z $total || $total == 0 ]]; then
        tail -20 "$build/$name.ctest.log"
        failed=$((failed + 1))
        return
    fi
    if ((bad)); then
        sed -n '/^The following tests FAILED/,$p' "$build/$name.ctest.log"
        grep -B2 -A40 'FAILED:\|\*\*\*Failed\|\*\*\*Timeout\|WARNING: ThreadSanitizer\|ERROR: AddressSanitizer' \
            "$build/$name.ctest.log" | head -200
    fi
    passed=$((passed + total - bad)) failed=$((failed + bad))
    echo "   $((total - bad)) passed, $bad failed in $name"
}

export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 suppressions=$root/tests/support/tsan.supp ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="detect_stack_use_after_return=1 ${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}"

what=${1:-all}
if [[ $what == all || $what == asan ]]; then
    run asan -- -DCMAKE_CXX_COMPILER=g++ -DCMAKE_BUILD_TYPE=Debug -DLARDER_WERROR=ON \
        -DLARDER_SANITIZE=address,undefined
fi
if [[ $what == all || $what == tsan ]]; then
    run tsan -L 'unit|contract|integration|models|issues' -- -DCMAKE_CXX_COMPILER=g++ \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLARDER_SANITIZE=thread -DLARDER_BUILD_EXAMPLES=OFF
fi
if [[ $what == all || $what == clang ]]; then
    compiler=clang++
    command -v clang++ >/dev/null || compiler=g++
    run clang -- -DCMAKE_CXX_COMPILER=$compiler -DCMAKE_BUILD_TYPE=Release -DLARDER_WERROR=ON \
        -DLARDER_BUILD_BENCHMARKS=ON
fi

echo "$passed passed, $failed failed"
((failed == 0))
