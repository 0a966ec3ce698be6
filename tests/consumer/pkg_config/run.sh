#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh COMPILER PKG_CONFIG PREFIX MAIN: builds MAIN with what pkg-config says, and runs it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PKG_CONFIG_PATH=$3/share/pkgconfig
# shellcheck disable=SC2046
"$1" -std=c++20 "$4" -o "$work/consumer" $("$2" --cflags --libs larder)
"$work/consumer"
