#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# headers.sh COMPILER INCLUDE: every header compiles alone, without a warning.
# Those of optional components are left out where their dependency is not installed.
set -uo pipefail
compiler=$1 include=$2
flags=(-std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
    -Wold-style-cast -Woverloaded-virtual -Wnon-virtual-dtor -Werror -I "$include" -x c++)
failed=0
while IFS= read -r header; do
    name=${header#"$include"/}
    case $name in
        larder/json.hpp | larder/codec/json.hpp)
            echo '#include <nlohmann/json.hpp>' | "$compiler" -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || continue ;;
        larder/redis.hpp | larder/redis/*)
            echo '#include <hiredis/hiredis.h>' | "$compiler" -std=c++20 -fsyntax-only -x c++ - 2>/dev/null || continue ;;
    esac
    # Twice, to see that its guard works; through a file, since a main file is no header.
    printf '#include <%s>\n#include <%s>\n' "$name" "$name" | "$compiler" "${flags[@]}" - ||
        { echo "not self-contained: $name"; failed=1; }
done < <(find "$include/larder" -name '*.hpp' | sort)
exit $failed
