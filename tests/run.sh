#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/run.sh [asan|tsan|clang|fleet [RUNS]]: installs what is missing, builds, runs every test, or
# those of one configuration:
#
#   asan   AddressSanitizer and UndefinedBehaviorSanitizer: every test, by clang++ (g++ where there is none)
#   tsan   g++, optimised: the tests that have threads with ThreadSanitizer, those that walk the protocol
#          without; the others are compiled, not run
#   clang  clang++ (g++ where there is none), optimised: the tests that race; and what is needed once: compile
#          errors by both compilers, consumers, pages, include cost, format, clang-tidy, layers and sizes,
#          models, examples; the benchmarks are built
#   fleet  what is short in the others, at full length: RUNS (1,000) seeded runs of several processes
#          over one Redis and one database, each strategy; a tag of 1,000,000 keys; 1,000,000 byte
#          strings in slots; a minute of each stress; five of kill -9 of each journal over each
#          database; every order of the large scenarios. Some hours; LARDER_FLEET_SEED is the first seed
#
# The last line is `N passed, N failed`. Build folders: $LARDER_BUILD_DIR, else build/. How each is configured
# is in cmake/caches.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${LARDER_BUILD_DIR:-$root/build}
what=${1:-all}
. "$root/tests/scripts/progress.sh"
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
    with_progress "$build/apt.log" "${apt[@]}" update
    with_progress "$build/apt.log" "${apt[@]}" install -y --no-install-recommends "${missing[@]}" && return
    for package in "${missing[@]}"; do  # one that does not exist must not cost the others
        "${apt[@]}" install -y --no-install-recommends "$package" >>"$build/apt.log" 2>&1
        is_installed "$package" || { echo "not installed: $package ($build/apt.log)"; missing=(); }
    done
    ((${#missing[@]}))
}

if command -v apt-get >/dev/null; then
    # Without the second group, what needs it is left out or skipped.
    need g++ cmake make pkg-config catch2 libbenchmark-dev nlohmann-json3-dev libsqlite3-dev iso-codes \
        libhiredis-dev libssl-dev openssl libzstd-dev redis-server python3 ||
        { failed=1; finish; }
    need clang clang-format-16 clang-tidy spin libclang-rt-14-dev aspell aspell-en libtbb-dev \
        postgresql libpq-dev || true
fi

launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)

# What went wrong in a build, or the end of its log.
show_build() { grep -E -A5 '(error|Error|ERROR)\b' "$1" | head -80 | grep . || tail -40 "$1"; }

# build NAME [TARGET…]: configures build/NAME as cmake/caches/NAME.cmake says, and builds it.
build() {
    local name=$1 dir=$build/$1 generator=() targets=() started=$SECONDS
    shift
    (($# == 0)) || targets=(--target "$@")
    # A folder that was configured before keeps its generator.
    [[ -e $dir/CMakeCache.txt ]] || ! command -v ninja >/dev/null || generator=(-G Ninja)
    echo "== $name"
    if ! cmake -C "$root/cmake/caches/$name.cmake" -S "$root" -B "$dir" "${generator[@]}" "${launcher[@]}" \
        >"$dir.log" 2>&1 || ! with_progress "$dir.log" cmake --build "$dir" -j "$(nproc)" "${targets[@]}"; then
        show_build "$dir.log"
        echo "   $name does not build; the whole log: $dir.log"
        failed=$((failed + 1))
        return 1
    fi
    echo "   built in $((SECONDS - started)) s"
}

# run NAME: one configuration, built and tested.
run() {
    local name=$1 dir=$build/$1
    build "$name" || return 0
    local started=$SECONDS status=0 good bad skipped
    rm -f "$dir.xml" "$dir.ctest.log"
    # Most tests wait more than they work.
    with_progress "$dir.ctest.log" ctest --test-dir "$dir" -j "$((2 * $(nproc)))" --no-tests=error \
        --output-on-failure --output-junit "$dir.xml" || status=$?
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
export ASAN_OPTIONS="allow_addr2line=1 detect_stack_use_after_return=1 ${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="allow_addr2line=1 print_stacktrace=1 ${UBSAN_OPTIONS:-}"

for name in asan tsan clang; do
    [[ $what != all && $what != "$name" ]] || run "$name"
done
if [[ $what == fleet ]]; then
    targets=(test_integration_redis_{fleet,tags,garbage,one_load,stress,near_staleness} test_integration_core_stress
        test_integration_behind_kill)
    if build release "${targets[@]}" test_models_every_order; then
        for target in "${targets[@]}"; do
            echo "== $target"
            LARDER_FLEET_RUNS=${2:-1000} LARDER_FLEET_REPORT=1 LARDER_TAGGED_KEYS=1000000 LARDER_GARBAGE=1000000 \
                LARDER_STRESS_MS=60000 LARDER_KILL_SECONDS=300 \
                "$build/release/tests/$target" && passed=$((passed + 1)) || failed=$((failed + 1))
        done
        LARDER_EVERY_ORDER=1 "$build/release/tests/test_models_every_order" '[.large]' &&
            passed=$((passed + 1)) || failed=$((failed + 1))
    fi
fi
finish
