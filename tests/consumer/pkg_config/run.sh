#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh COMPILER PKG_CONFIG PREFIX MAIN [COMPONENT…]: builds MAIN with what pkg-config says, and runs it:
# the core alone, then with each component.
set -euo pipefail
compiler=$1 pkg_config=$2 main=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PKG_CONFIG_PATH=$3/share/pkgconfig
shift 4
for component in "" "$@"; do
    module=larder${component:+-$component}
    # shellcheck disable=SC2046
    "$compiler" -std=c++20 ${component:+-DWITH_$component} "$main" -o "$work/consumer" $("$pkg_config" --cflags --libs "$module")
    "$work/consumer"
done
