#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh COMPILER PREFIX MAIN: builds MAIN with what pkg-config says, and runs it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PKG_CONFIG_PATH=$2/share/pkgconfig
# shellcheck disable=SC2046
"$1" -std=c++20 "$3" -o "$work/consumer" $(pkg-config --cflags --libs larder)
"$work/consumer"
