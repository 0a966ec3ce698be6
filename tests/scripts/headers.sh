#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# headers.sh COMPILER INCLUDE: every header compiles alone, and twice, without a warning.
# The standard headers are there already, precompiled, which takes a fifth of the time: that each header includes
# those that it uses is seen by house/includes.py. Headers of optional components are left out where their
# dependency is not installed.
set -uo pipefail
compiler=$1 include=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
    -Wold-style-cast -Woverloaded-virtual -Wnon-virtual-dtor -Werror)
has() { echo "#include <$1>" | "$compiler" -std=c++20 -fsyntax-only -x c++ - 2>/dev/null; }
missing=""
for dependency in nlohmann/json.hpp hiredis/hiredis.h openssl/ssl.h sqlite3.h zstd.h; do
    has "$dependency" || missing+=" <$dependency>"
done

grep -rhoE '^#include <[a-z_]+>' "$include/larder" | sort -u >"$work/std.hpp"
read -ra std < <("${0%/*}/precompile.sh" "$compiler" "$work/std.hpp" "${flags[@]}") || exit 1

failed=0
while IFS= read -r header; do
    name=${header#"$include"/} needs=""
    case ${name#larder/} in
        json.hpp | codec/json.hpp | codec/cbor.hpp | codec/detail/exact_value.hpp) needs=nlohmann/json.hpp ;;
        tls.hpp | redis/detail/tls/*) needs=openssl/ssl.h ;;
        redis.hpp | redis/* | journal/redis.hpp) needs=hiredis/hiredis.h ;;
        sqlite.hpp | journal/sqlite* | journal/detail/*) needs=sqlite3.h ;;
        zstd.hpp | codec/zstd.hpp) needs=zstd.h ;;
    esac
    if [[ -n $needs && $missing == *"<$needs>"* ]]; then
        echo "left out: $name, there is no <$needs>"
        continue
    fi
    # Twice, to see that its guard works; through a file, since a main file is no header.
    printf '#include <%s>\n#include <%s>\n' "$name" "$name" |
        "$compiler" "${flags[@]}" -fsyntax-only "${std[@]}" -I "$include" -x c++ - ||
        { echo "not self-contained: $name"; failed=1; }
done < <(find "$include/larder" -name '*.hpp' | sort)
exit $failed
