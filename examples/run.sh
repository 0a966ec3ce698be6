#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples/run.sh [TOUR-ARGUMENTS]: installs what is missing, builds the examples, runs the tour.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${LARDER_BUILD_DIR:-$root/build}/examples
mkdir -p "$build"

missing=()
if command -v dpkg-query >/dev/null; then
    for package in g++ cmake make libsqlite3-dev nlohmann-json3-dev iso-codes; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
fi
if ((${#missing[@]})); then
    sudo=()
    if [[ $(id -u) != 0 ]]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            echo "First install what is missing:  sudo apt-get install ${missing[*]}" >&2
            exit 1
        fi
        sudo=(sudo -n)
    fi
    echo "Installing ${missing[*]} …"
    { "${sudo[@]}" apt-get update -qq &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        >"$build/apt.log" 2>&1 || { tail -5 "$build/apt.log" >&2; exit 1; }
fi

echo "Building …"
{ cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release -DLARDER_BUILD_TESTS=OFF &&
    cmake --build "$build" -j "$(nproc)"; } >"$build/build.log" 2>&1 ||
    { grep -m1 -A20 -i 'error' "$build/build.log" >&2; echo "The whole log: $build/build.log" >&2; exit 1; }
exec "$build/examples/larder_example_tour" "$@"
