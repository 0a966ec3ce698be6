#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# precompile.sh COMPILER HEADER FLAG…: precompiles HEADER beside itself and prints the flags that use it: a
# compilation must have the same FLAGs.
set -euo pipefail
compiler=$1 header=$2
if "$compiler" --version | grep -q clang; then
    "$compiler" "${@:3}" -x c++-header "$header" -o "$header.pch"
    echo "-include-pch $header.pch"
else
    "$compiler" "${@:3}" -x c++-header "$header" -o "$header.gch"
    echo "-include $header"
fi
