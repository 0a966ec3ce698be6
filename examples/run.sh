#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples/run.sh [TOUR-ARGUMENTS]: installs what is missing, builds the tour of the strategies, runs it.
# The build folder is $LARDER_BUILD_DIR, else build/.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: examples/run.sh [--redis URL] [NUMBER...]
Builds and runs the tour of the strategies: all of it, or the parts with these numbers.
With --redis, copies are kept by the Redis at URL, such as redis://127.0.0.1:6379.
USAGE
}
refuse() {
    echo "examples/run.sh: $1" >&2
    usage >&2
    exit 2
}
# Before anything is installed or built.
for ((i = 1; i <= $#; i++)); do
    case ${!i} in
        --help) usage; exit 0 ;;
        --redis) ((i == 1)) || refuse "--redis comes first"
            ((i++ < $#)) || refuse "--redis needs a URL" ;;
        *[!0-9]* | '') refuse "unknown argument: ${!i}" ;;
    esac
done

root=$(cd "$(dirname "$0")/.." && pwd)
build=${LARDER_BUILD_DIR:-$root/build}/examples
mkdir -p "$build"
. "$root/tests/scripts/progress.sh"

missing=()
command -v g++ >/dev/null || missing+=(g++)
command -v cmake >/dev/null || missing+=(cmake)
command -v ninja >/dev/null || command -v make >/dev/null || missing+=(make)
if command -v dpkg-query >/dev/null; then
    for package in libsqlite3-dev nlohmann-json3-dev libhiredis-dev iso-codes; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
fi
if ((${#missing[@]})); then
    sudo=()
    if [[ $(id -u) != 0 ]]; then
        sudo=(sudo -n)
    fi
    if ! command -v apt-get >/dev/null || ! "${sudo[@]}" true 2>/dev/null; then
        echo "First install what is missing:  sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
    echo "Installing ${missing[*]} …"
    apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq)
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$build/apt.log" 2>&1 ||
        { tail -5 "$build/apt.log" >&2; exit 1; }
fi

echo "Building …"
generator=()
if ! [[ -e $build/CMakeCache.txt ]] && command -v ninja >/dev/null; then
    generator=(-G Ninja)
fi
{ cmake -S "$root" -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DLARDER_BUILD_TESTS=OFF \
    >"$build/build.log" 2>&1 &&
    with_progress "$build/build.log" cmake --build "$build" -j "$(nproc)" --target larder_example_tour; } ||
    { grep -m1 -A20 -i 'error' "$build/build.log" >&2; echo "The whole log: $build/build.log" >&2; exit 1; }
exec "$build/examples/larder_example_tour" "$@"
