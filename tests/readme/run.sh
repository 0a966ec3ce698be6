#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/readme/run.sh programs|fragments|cmake|shell COMPILER PREFIX
#
# Tries out every code block of README.md; PREFIX is where this larder is installed (for cmake only).
# Each fence names its language, and what is done with a block depends on it:
#
#   ```cpp with `int main`   is compiled by itself and run. If the next block, before any other heading,
#                            is ```text, it is the program's exact output. The first such program is also
#                            what a `g++` line in a shell block compiles, under the name that is used there.
#   ```cpp otherwise         is a fragment: it is compiled together with all others, each in a namespace of
#                            its own that sees prelude.hpp (beside this file: Product, ProductTable, db,
#                            store, products, …), and run. Hoisted out of the function that runs it are
#                            #include lines and what begins in column 0 with struct, class, enum, template,
#                            concept, namespace, inline, using, static_assert or an all-capitals macro, up to
#                            the line that ends it (`}` or `};` in column 0, or a `;` on the same line).
#                            Everything else is a statement. Names may be defined anew: they hide the prelude's.
#   ```cmake                 is a project's CMakeLists.txt for the target `app`; project() and add_executable()
#                            are put in front unless it has them. `FetchContent_Declare(larder …)` and
#                            `add_subdirectory(some/path/larder)` get this checkout, `find_package` the PREFIX.
#   ```sh                    `g++ …`, `clang++ …` and then `./a.out`, `./name` are run (where include/ is
#                            larder's); of `path/script.sh …` it is checked that it is there and executable;
#                            `cmake …` is run with DESTDIR set; git, cd, apt, sudo and comments are passed over.
#   ```text                  after a program: see above; elsewhere a drawing.
#
# A program, or the fragments, that include larder/redis.hpp run beside a redis-server of their own, which
# stands for the one at redis://127.0.0.1:6379; they are left out, loudly, where there is no hiredis or server.
#
# A comment on the line before the fence changes this:
#   <!-- block: file -->     compile this cpp fragment as a file by itself, unchanged, after the prelude
#   <!-- block: compile -->  compile this fragment or program, do not run it
#   <!-- block: statements --> hoist nothing out of this fragment
set -uo pipefail
what=$1 compiler=$2 prefix=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 -Wall -Wextra -Werror -I "$root/include" -I "$here" -pthread)
failed=0
fail() { echo "README.md:$1: $2"; failed=1; }

# One file a block, named by its number, its line, its language and its directive: 003.41.cpp.plain
awk -v out="$work" '
    /^#/ && !inside { heading++ }
    /^```/ {
        if (inside) { inside = 0; close(file); next }
        inside = 1
        language = substr($0, 4); sub(/[ \t].*/, "", language)
        if (language == "") language = "none"
        file = sprintf("%s/%03d.%d.%s.%s.%d", out, ++count, NR, language, directive == "" ? "plain" : directive, heading)
        printf "" > file
        directive = ""
        next
    }
    inside { print > file; next }
    /^<!-- block: [a-z]+ -->$/ { directive = $3; next }
    /[^ \t]/ { directive = "" }
' "$root/README.md" || exit 1
blocks=("$work"/[0-9]*)
[[ -e ${blocks[0]} ]] || { echo "README.md has no code blocks"; exit 1; }

part() { # part BLOCK line|language|directive|heading
    local name=${1##*/} fields
    IFS=. read -ra fields <<<"$name"
    case $2 in
        line) echo "${fields[1]}" ;;
        language) echo "${fields[2]}" ;;
        directive) echo "${fields[3]}" ;;
        heading) echo "${fields[4]}" ;;
    esac
}
# needs_redis FILE: it includes larder/redis.hpp; the server's address is then the test's.
needs_redis() {
    grep -q '^#include <larder/redis.hpp>' "$1" || return 1
    sed -i 's|"redis://127.0.0.1:6379"|std::getenv("LARDER_REDIS_URL")|; 1i #include <cstdlib>' "$1"
}
has_redis() {
    command -v redis-server >/dev/null &&
        echo '#include <hiredis/hiredis.h>' | "$compiler" -fsyntax-only -x c++ - 2>/dev/null
}
is_program() { [[ $(part "$1" language) == cpp ]] && grep -qE '^int main\(' "$1"; }

# The ```text block with a program's output: the next block, under the same heading.
output_of() {
    local i
    for ((i = 0; i + 1 < ${#blocks[@]}; i++)); do
        if [[ ${blocks[i]} == "$1" && $(part "${blocks[i + 1]}" language) == text &&
            $(part "$1" heading) == $(part "${blocks[i + 1]}" heading) ]]; then
            echo "${blocks[i + 1]}"
        fi
    done
}

programs() {
    local block expected actual count=0
    for block in "${blocks[@]}"; do
        is_program "$block" || continue
        count=$((count + 1))
        cp "$block" "$block.cpp"
        local libraries=() beside=()
        if needs_redis "$block.cpp"; then
            has_redis || { echo "README.md:$(part "$block" line): left out: no hiredis, or no redis-server"; continue; }
            libraries=(-lhiredis) beside=("$here/../scripts/with_redis.sh")
        fi
        if ! "$compiler" "${flags[@]}" "$block.cpp" -o "$block.exe" "${libraries[@]}"; then
            fail "$(part "$block" line)" "the program does not compile"
        elif [[ $(part "$block" directive) != compile ]]; then
            actual=$(cd "$work" && timeout 60 "${beside[@]}" "$block.exe") || fail "$(part "$block" line)" "the program fails"
            expected=$(output_of "$block")
            if [[ -n $expected ]] && ! diff "$expected" - <<<"$actual"; then
                fail "$(part "$expected" line)" "the program prints something else (>)"
            fi
        fi
    done
    ((count)) || fail 1 "no program with int main"
    echo "$count programs"
}

fragments() {
    local block line directive count=0 calls="" all=$work/fragments.cpp
    local includes=$work/includes body=$work/body libraries=() beside=()
    : >"$includes"
    : >"$body"
    for block in "${blocks[@]}"; do
        [[ $(part "$block" language) == cpp ]] && ! is_program "$block" || continue
        count=$((count + 1)) line=$(part "$block" line) directive=$(part "$block" directive)
        if [[ $directive == file ]]; then
            { echo '#include "prelude.hpp"'; echo "#line $((line + 1)) \"README.md\""; cat "$block"; } >"$block.cpp"
            "$compiler" "${flags[@]}" -fsyntax-only "$block.cpp" || fail "$line" "the block does not compile"
            continue
        fi
        if grep -q '^#include <larder/redis.hpp>' "$block"; then
            has_redis || { echo "README.md:$line: left out: no hiredis, or no redis-server"; continue; }
            sed -i 's|"redis://127.0.0.1:6379"|std::getenv("LARDER_REDIS_URL")|' "$block"
            libraries=(-lhiredis) beside=("$here/../scripts/with_redis.sh")
        fi
        awk -v line="$line" -v directive="$directive" -v includes="$includes" -v body="$body" '
            function at(text) { return "#line " (line + NR) " \"README.md\"\n" text "\n" }
            /^#include/ { printf "%s", at($0) > includes; next }
            hoisting { definitions = definitions at($0); if (/^}/ || (flat && /;[ \t]*(\/\/.*)?$/)) hoisting = 0; next }
            directive != "statements" &&
            (/^(struct|class|enum|template|concept|namespace|inline|using|static_assert)[ <(]/ || /^[A-Z][A-Z_]+\(/) {
                definitions = definitions at($0)
                flat = !/^(struct|class|enum|template|namespace|inline)/
                hoisting = !/;[ \t]*(\/\/.*)?$/ && !(/^[A-Z][A-Z_]+\(/ && /\)[ \t]*$/) && !(/{/ && /}[ \t]*$/)
                next
            }
            { statements = statements at($0) }
            END {
                printf "namespace block_%d {\n%s[[maybe_unused]] static void run() {\n%s}\n}\n",
                    line, definitions, statements > body
            }' "$block"
        cat "$body" >>"$all.body"
        [[ $directive == compile ]] || calls+="    tried($line, block_$line::run);"$'\n'
    done
    echo "$count fragments"
    [[ -e $all.body ]] || return
    {
        cat "$includes"
        cat <<'HEAD'
#include "prelude.hpp"
#include <cstdlib>
#include <exception>
#include <iostream>
HEAD
        cat "$all.body"
        cat <<'TAIL'
static int failures = 0;
static void tried(int line, void (*block)()) {
    try {
        block();
    } catch (const std::exception& error) {
        std::cerr << "README.md:" << line << ": throws " << error.what() << '\n';
        ++failures;
    }
}
int main() {
TAIL
        echo "$calls    return failures == 0 ? 0 : 1;"
        echo "}"
    } >"$all"
    if ! "$compiler" "${flags[@]}" -Wno-unused -Wno-shadow "$all" -o "$work/fragments" "${libraries[@]}"; then
        fail 1 "the fragments do not compile"
    else
        (cd "$work" && timeout 120 "${beside[@]}" ./fragments >"$work/fragments.out") || fail 1 "the fragments fail"
    fi
}

cmake_projects() {
    local block line dir folder count=0
    for block in "${blocks[@]}"; do
        [[ $(part "$block" language) == cmake ]] || continue
        count=$((count + 1)) line=$(part "$block" line) dir=$work/cmake-$count
        mkdir -p "$dir"
        cp "$here/../consumer/main.cpp" "$dir/main.cpp"
        {
            grep -q 'project(' "$block" ||
                printf 'cmake_minimum_required(VERSION 3.25)\nproject(app LANGUAGES CXX)\n'
            grep -q 'add_executable(' "$block" || echo 'add_executable(app main.cpp)'
            cat "$block"
        } >"$dir/CMakeLists.txt"
        # Where the block takes larder from the project's own tree, that is a link to this checkout.
        while read -r folder; do
            mkdir -p "$dir/$(dirname "$folder")"
            ln -s "$root" "$dir/$folder"
        done < <(sed -nE 's/.*add_subdirectory\(([^ )]+).*/\1/p; s|.*target_include_directories\([a-z]+ [A-Z]+ ([^ )]+)/include\).*|\1|p' "$block" |
            sed 's/^${[A-Z_]*}\///')
        cmake -S "$dir" -B "$dir/build" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix" \
            -DFETCHCONTENT_SOURCE_DIR_LARDER="$root" -DCMAKE_CXX_STANDARD=20 >"$dir/log" 2>&1 &&
            cmake --build "$dir/build" >>"$dir/log" 2>&1 && "$dir/build/app" ||
            { fail "$line" "the project does not build"; tail -30 "$dir/log"; }
    done
    echo "$count cmake blocks"
    local version
    version=$(sed -nE 's/^#define LARDER_VERSION_(MAJOR|MINOR|PATCH) +([0-9]+)/\2/p' "$root/include/larder/version.hpp" | paste -sd.)
    grep -qF "$version" "$root/README.md" || fail 1 "the version is $version, which it does not say"
}

shell() {
    local block line text word count=0 program="" sandbox=$work/checkout source
    for block in "${blocks[@]}"; do
        is_program "$block" && { program=$block; break; }
    done
    mkdir "$sandbox"
    ln -s "$root"/* "$sandbox"
    for block in "${blocks[@]}"; do
        case $(part "$block" language) in
            sh | bash | console) ;;
            cpp | cmake | text) continue ;;
            *) fail "$(part "$block" line)" "a block of an unknown language"; continue ;;
        esac
        line=$(part "$block" line)
        while IFS= read -r text; do
            line=$((line + 1)) text=${text#\$ }
            read -r word _ <<<"$text"
            case ${word:-#} in
                \#* | git | cd | apt | apt-get | sudo) ;;
                g++ | clang++)
                    source=$(grep -oE '[A-Za-z0-9_./-]+\.cpp' <<<"$text" | head -1)
                    [[ -z $source || -e $sandbox/$source ]] || cp "$program" "$sandbox/$source"
                    command -v "$word" >/dev/null || continue
                    (cd "$sandbox" && bash -c "$text") || fail "$line" "fails: $text"
                    ;;
                cmake) (cd "$sandbox" && DESTDIR=$work/destination bash -c "$text" >"$work/log" 2>&1) ||
                    { fail "$line" "fails: $text"; tail -20 "$work/log"; } ;;
                *.sh) [[ -x $sandbox/$word ]] || fail "$line" "no such script: $word" ;;
                ./*)
                    (cd "$sandbox" && timeout 60 bash -c "$text" >"$work/log") || fail "$line" "fails: $text"
                    ;;
                *) fail "$line" "a command that this test does not know: $text" ;;
            esac
            count=$((count + 1))
        done <"$block"
    done
    echo "$count shell lines"
}

case $what in
    programs | fragments | shell) "$what" ;;
    cmake) cmake_projects ;;
    *) echo "programs, fragments, cmake or shell?"; exit 2 ;;
esac
exit $failed
