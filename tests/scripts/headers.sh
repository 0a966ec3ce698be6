#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# headers.sh COMPILER INCLUDE: every header compiles alone, without a warning.
# Those of optional components are left out where their dependency is not installed.
set -uo pipefail
compiler=$1 include=$2
flags=(-std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
    -Wold-style-cast -Woverloaded-virtual -Wnon-virtual-dtor -Werror -I "$include" -x c++)
has() { echo "#include <$1>" | "$compiler" -std=c++20 -fsyntax-only -x c++ - 2>/dev/null; }
failed=0
while IFS= read -r header; do
    name=${header#"$include"/} needs=""
    case ${name#larder/} in
        json.hpp | codec/json.hpp | codec/cbor.hpp | codec/exact_value.hpp) needs=nlohmann/json.hpp ;;
        redis.hpp | redis/* | store/redis.hpp | journal/redis.hpp) needs=hiredis/hiredis.h ;;
        zstd.hpp | codec/zstd.hpp) needs=zstd.h ;;
    esac
    if [[ -n $needs ]] && ! has "$needs"; then
        echo "left out: $name, there is no <$needs>"
        continue
    fi
    # Twice, to see that its guard works; through a file, since a main file is no header.
    printf '#include <%s>\n#include <%s>\n' "$name" "$name" | "$compiler" "${flags[@]}" - ||
        { echo "not self-contained: $name"; failed=1; }
done < <(find "$include/larder" -name '*.hpp' | sort)
exit $failed
