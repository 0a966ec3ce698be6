#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/run.sh [asan|tsan|clang|fleet [RUNS]]: installs what is missing, builds, runs every test, or
# those of one configuration:
#
#   asan   g++, Debug, AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan   g++, ThreadSanitizer: the tests that have threads
#   clang  clang++ (g++ where there is none), optimised; and what is needed once: compile errors by both
#          compilers, consumers, pages, include cost, format, models; the benchmarks are built
#   fleet  what is short in the others, at full length: RUNS (1,000) seeded runs of several processes
#          over one Redis and one database, each strategy; a tag of 1,000,000 keys; 1,000,000 byte
#          strings in slots; a minute of each stress. Some hours; LARDER_FLEET_SEED is the first seed
#
# The last line is `N passed, N failed`. Build folders: $LARDER_BUILD_DIR, else build/.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${LARDER_BUILD_DIR:-$root/build}
what=${1:-all}
passed=0 failed=0

case $what in
    all | asan | tsan | clang | fleet) ;;
    *) sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
esac
mkdir -p "$build"

finish() {
    echo "$passed passed, $failed failed"
    exit $((failed > 0))
}

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# need PACKAGE…: installs those that are missing; says which could not be.
need() {
    local missing=() package sudo=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if [[ $(id -u) != 0 ]]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            echo "missing, and not allowed to install:  sudo apt-get install ${missing[*]}"
            return 1
        fi
        sudo=(sudo -n)
    fi
    echo "installing ${missing[*]}"
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq)
    "${apt[@]}" update >>"$build/apt.log" 2>&1
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >>"$build/apt.log" 2>&1 && return
    for package in "${missing[@]}"; do  # one that does not exist must not cost the others
        "${apt[@]}" install -y --no-install-recommends "$package" >>"$build/apt.log" 2>&1
        is_installed "$package" || { echo "not installed: $package ($build/apt.log)"; missing=(); }
    done
    ((${#missing[@]}))
}

if command -v apt-get >/dev/null; then
    # Without the second group, what needs it is left out or skipped.
    need g++ cmake make pkg-config catch2 libbenchmark-dev nlohmann-json3-dev libsqlite3-dev iso-codes \
        libhiredis-dev libzstd-dev redis-server ||
        { failed=1; finish; }
    need clang clang-format-16 spin libclang-rt-14-dev aspell aspell-en || true
fi

launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)

# What went wrong in a build, or the end of its log.
show_build() { grep -E -A5 '(error|Error|ERROR)\b' "$1" | head -80 | grep . || tail -40 "$1"; }

# run NAME [--target TARGET] -- CMAKE-ARGUMENTS: one configuration.
run() {
    local name=$1 dir=$build/$1 target=() generator=() started=$SECONDS
    shift
    while [[ $1 != -- ]]; do
        target+=("$1")
        shift
    done
    shift
    # A folder that was configured before keeps its generator.
    [[ -e $dir/CMakeCache.txt ]] || ! command -v ninja >/dev/null || generator=(-G Ninja)
    echo "== $name"
    if ! cmake -S "$root" -B "$dir" "${generator[@]}" "${launcher[@]}" -DLARDER_BUILD_TESTS=ON "$@" >"$dir.log" 2>&1 ||
        ! cmake --build "$dir" -j "$(nproc)" "${target[@]}" >>"$dir.log" 2>&1; then
        show_build "$dir.log"
        echo "   $name does not build; the whole log: $dir.log"
        failed=$((failed + 1))
        return
    fi
    echo "   built in $((SECONDS - started)) s"
    started=$SECONDS
    local select=()
    ((${#target[@]} == 0)) || select=(-L '^(unit|contract|integration|models|issues)$')
    rm -f "$dir.xml"
    (cd "$dir" && ctest -j "$(nproc)" --no-tests=error --output-on-failure --output-junit "$dir.xml" "${select[@]}") \
        >"$dir.ctest.log" 2>&1
    local status=$? good bad skipped
    # A test that was not run counts as failed, unless it said itself that it cannot be.
    read -r good bad skipped < <(awk '
        /^\t<testcase .* status="run">/ { good++ }
        /^\t<testcase .* status="fail">/ { bad++ }
        /^\t<testcase .* status="disabled">/ { skipped++ }
        /^\t<testcase .* status="notrun">/ { unknown = 1 }
        unknown && /<skipped message="/ { if (/SKIP_/) skipped++; else bad++; unknown = 0 }
        END { print good + 0, bad + 0, skipped + 0 }' "$dir.xml" 2>/dev/null || echo 0 0 0)
    ((status == 0 || bad > 0)) || bad=1
    if ((bad)); then
        awk '/tests passed, / { exit } /^ *[0-9]+\/[0-9]+ Test +#/ { show = !/ Passed / && !/Skipped/ } show' "$dir.ctest.log" | head -300
        sed -n '/^The following tests FAILED/,$p' "$dir.ctest.log"
        [[ -s $dir.xml ]] || tail -20 "$dir.ctest.log"
    fi
    ((skipped == 0)) || sed -n '/^The following tests did not run/,/^$/p' "$dir.ctest.log"
    passed=$((passed + good)) failed=$((failed + bad))
    echo "   $good passed, $bad failed, $skipped skipped in $name, in $((SECONDS - started)) s"
}

export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 suppressions=$root/tests/support/tsan.supp ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="detect_stack_use_after_return=1 ${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}"

if [[ $what == all || $what == asan ]]; then
    # The examples are built and run once, optimised, below.
    run asan -- -DCMAKE_CXX_COMPILER=g++ -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-g1 -DLARDER_WERROR=ON \
        -DLARDER_SANITIZE=address,undefined -DLARDER_BUILD_EXAMPLES=OFF
fi
if [[ $what == all || $what == tsan ]]; then
    run tsan --target larder_tests -- -DCMAKE_CXX_COMPILER=g++ -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1" -DLARDER_SANITIZE=thread
fi
if [[ $what == all || $what == clang ]]; then
    compiler=clang++
    command -v clang++ >/dev/null || compiler=g++
    run clang -- -DCMAKE_CXX_COMPILER=$compiler -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG" \
        -DLARDER_WERROR=ON -DLARDER_BUILD_BENCHMARKS=ON
fi
if [[ $what == fleet ]]; then
    dir=$build/fleet
    targets=(test_integration_redis_{fleet,tags,garbage,one_load,stress} test_integration_core_stress)
    if cmake -S "$root" -B "$dir" "${launcher[@]}" -DLARDER_BUILD_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo >"$dir.log" 2>&1 &&
        cmake --build "$dir" -j "$(nproc)" --target "${targets[@]}" >>"$dir.log" 2>&1; then
        for target in "${targets[@]}"; do
            echo "== $target"
            LARDER_FLEET_RUNS=${2:-1000} LARDER_FLEET_REPORT=1 LARDER_TAGGED_KEYS=1000000 LARDER_GARBAGE=1000000 \
                LARDER_STRESS_MS=60000 \
                "$dir/tests/$target" && passed=$((passed + 1)) || failed=$((failed + 1))
        done
    else
        show_build "$dir.log"
        failed=1
    fi
fi
finish
