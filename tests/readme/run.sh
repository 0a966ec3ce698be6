#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/readme/run.sh programs|fragments|cmake|shell COMPILER [PREFIX]
#
# Tries out every code block of every page: README.md and the README.md beside the code (tests/scripts/pages/list.sh
# lists them). PREFIX is where this larder is installed (for cmake only).
# Each fence names its language, and what is done with a block depends on it:
#
#   ```cpp with `int main()` is a program (without a return in main): it is compiled and run. If the next block,
#                            before any other heading, is ```text, it is the program's exact output. The first program of a page is also
#                            what a `g++` line in a shell block there compiles, under the name that is used there.
#   ```cpp otherwise         is a fragment: it sees prelude.hpp (beside this file: Product, ProductTable, table,
#                            store, products), and is compiled and run. Hoisted out of the function that runs it
#                            are #include lines and what begins in column 0 with struct, class, enum, template,
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
# All programs are one translation unit, each in a namespace of its own, and so are all fragments: one
# compilation of each kind. What a program needs from the standard library it must include itself, all the
# same: a table below knows which header the names that pages use are from.
#
# Blocks that include larder/sqlite.hpp are left out where there is no sqlite3.h, loudly.
# Where there is no hiredis or redis-server, blocks that include larder/redis.hpp are left out, loudly; else
# a redis-server of their own stands for the one at redis://127.0.0.1:6379.
#
# A comment on the line before the fence changes this:
#   <!-- block: file -->     compile this cpp fragment as a file by itself, unchanged, after the prelude
#   <!-- block: compile -->  compile this fragment or program, do not run it
#   <!-- block: statements --> hoist nothing out of this fragment
#   <!-- block: shown -->    do nothing with this block, which takes too long or needs what is not there
set -uo pipefail
what=$1 compiler=$2 prefix=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 -Wall -Wextra -Werror -I "$root/include" -I "$here" -pthread)
failed=0
fail() { echo "$1: $2"; failed=1; } # fail PLACE MESSAGE

mapfile -t pages < <("$here/../scripts/pages/list.sh")

# One file a block, named by its page, number, line, language, directive and heading: 00.003.41.cpp.plain.2
for i in "${!pages[@]}"; do
    awk -v out="$work/$(printf %02d "$i")" '
        /^#/ && !inside { heading++ }
        /^```/ {
            if (inside) { inside = 0; close(file); next }
            inside = 1
            language = substr($0, 4); sub(/[ \t].*/, "", language)
            if (language == "") language = "none"
            file = sprintf("%s.%03d.%d.%s.%s.%d", out, ++count, NR, language, directive == "" ? "plain" : directive, heading)
            printf "" > file
            directive = ""
            next
        }
        inside { print > file; next }
        /^<!-- block: [a-z]+ -->$/ { directive = $3; next }
        /[^ \t]/ { directive = "" }
    ' "$root/${pages[i]}" || exit 1
done
blocks=("$work"/[0-9]*)
[[ -e ${blocks[0]} ]] || { echo "no page has code blocks"; exit 1; }

part() { # part BLOCK page|line|language|directive|heading|place
    local name=${1##*/} fields
    IFS=. read -ra fields <<<"$name"
    case $2 in
        page) echo "${pages[10#${fields[0]}]}" ;;
        line) echo "${fields[2]}" ;;
        language) echo "${fields[3]}" ;;
        directive) echo "${fields[4]}" ;;
        heading) echo "${fields[0]}.${fields[5]}" ;;
        place) echo "${pages[10#${fields[0]}]}:${fields[2]}" ;;
    esac
}
has_header() { echo "#include <$1>" | "$compiler" -fsyntax-only -x c++ - 2>/dev/null; }
has_redis() { command -v redis-server >/dev/null && has_header hiredis/hiredis.h; }
libraries=() beside=()
# admit BLOCK: false if it cannot be tried here. A server's address is then the test's.
admit() {
    [[ $(part "$1" directive) != shown ]] || return 1
    if grep -q '^#include <larder/sqlite.hpp>' "$1"; then
        has_header sqlite3.h || { echo "$(part "$1" place): left out: no sqlite3.h"; return 1; }
        libraries+=(-lsqlite3)
    fi
    grep -q '^#include <larder/redis.hpp>' "$1" || return 0
    has_redis || { echo "$(part "$1" place): left out: no hiredis, or no redis-server"; return 1; }
    sed -i 's|"redis://127.0.0.1:6379"|std::getenv("LARDER_REDIS_URL")|' "$1"
    libraries+=(-lhiredis) beside=("$here/../scripts/with_redis.sh")
    if grep -q '^#include <larder/tls.hpp>' "$1"; then
        has_header openssl/ssl.h || { echo "$(part "$1" place): left out: no OpenSSL"; return 1; }
        libraries+=(-lssl -lcrypto)
    fi
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

# includes_what_it_names BLOCK: so that it compiles wherever it is copied to.
includes_what_it_names() {
    local names header
    while read -r header names; do
        if grep -qE "std::($names)\b" "$1" && ! grep -q "^#include <$header>" "$1"; then
            fail "$(part "$1" place)" "the program needs #include <$header>"
        fi
    done <<'TABLE'
iostream cout|cerr
map map
unordered_map unordered_map
mutex mutex|scoped_lock
memory unique_ptr|make_unique|shared_ptr|make_shared
span span
stdexcept runtime_error|invalid_argument|logic_error
thread thread|jthread
TABLE
}

# in_one_unit BLOCK HEAD BODY COMMAND: a block's #include lines go to HEAD, what the awk program makes of
# the rest to BODY, each line with its place.
numbered='function at(text) { return "#line " (line + NR) " \"" page "\"\n" text "\n" }
    /^#include/ { printf "%s", at($0) > head; next }'
in_one_unit() {
    awk -v line="$(part "$1" line)" -v page="$(part "$1" page)" -v directive="$(part "$1" directive)" \
        -v name="${1##*/}" -v head="$work/piece" -v body="$work/piece.body" "
        BEGIN { gsub(/[^0-9]/, \"_\", name); printf \"\" > head }
        $numbered
        $4" "$1"
    cat "$work/piece" >>"$2"
    cat "$work/piece.body" >>"$3"
}
# The number that a block has in its unit.
unit_name() { local name=${1##*/}; echo "block_${name//[^0-9]/_}"; }

programs() {
    local block name expected actual count=0 calls="" tried=()
    for block in "${blocks[@]}"; do
        is_program "$block" && admit "$block" || continue
        includes_what_it_names "$block"
        in_one_unit "$block" "$work/head" "$work/body" '
            NR == 1 { printf "" > body }
            { sub(/^int main\(\)/, "void program()"); text = text at($0) }
            END { printf "namespace block_%s {\n%s}\n", name, text > body }'
        name=$(unit_name "$block")
        [[ $(part "$block" directive) == compile ]] || tried+=("$block")
        calls+="    if (which == \"$name\") { return $name::program(), 0; }"$'\n'
        count=$((count + 1))
    done
    echo "$count programs"
    ((count)) || { fail README.md:1 "no program with int main"; return; }
    {
        echo '#include <cstdlib>'
        echo '#include <string_view>'
        cat "$work/head" "$work/body"
        echo 'int main(int, char** arguments) {'
        echo '    const std::string_view which{arguments[1]};'
        echo "$calls    return 2;"
        echo '}'
    } >"$work/programs.cpp"
    if ! "$compiler" "${flags[@]}" "$work/programs.cpp" -o "$work/programs" "${libraries[@]}"; then
        fail "${pages[0]}" "the programs do not compile"
        return
    fi
    for block in "${tried[@]}"; do
        actual=$(cd "$work" && timeout 60 "${beside[@]}" ./programs "$(unit_name "$block")") ||
            fail "$(part "$block" place)" "the program fails"
        expected=$(output_of "$block")
        if [[ -n $expected ]] && ! diff "$expected" - <<<"$actual"; then
            fail "$(part "$expected" place)" "the program prints something else (>)"
        fi
    done
}

fragments() {
    local block name directive count=0 calls=""
    : >"$work/head"
    : >"$work/body"
    for block in "${blocks[@]}"; do
        [[ $(part "$block" language) == cpp ]] && ! is_program "$block" && admit "$block" || continue
        count=$((count + 1)) directive=$(part "$block" directive) name=$(unit_name "$block")
        if [[ $directive == file ]]; then
            { echo '#include "prelude.hpp"'
                echo "#line $(($(part "$block" line) + 1)) \"$(part "$block" page)\""; cat "$block"; } >"$block.cpp"
            "$compiler" "${flags[@]}" -fsyntax-only "$block.cpp" || fail "$(part "$block" place)" "the block does not compile"
            continue
        fi
        in_one_unit "$block" "$work/head" "$work/body" '
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
                printf "namespace block_%s {\n%s[[maybe_unused]] static void run() {\n%s}\n}\n",
                    name, definitions, statements > body
            }'
        [[ $directive == compile ]] || calls+="    tried(\"$(part "$block" place)\", $name::run);"$'\n'
    done
    echo "$count fragments"
    [[ -s $work/body ]] || return
    {
        cat "$work/head"
        cat <<'HEAD'
#include "prelude.hpp"
#include <cstdlib>
#include <exception>
#include <iostream>
HEAD
        cat "$work/body"
        cat <<'TAIL'
static int failures = 0;
static void tried(const char* place, void (*block)()) {
    try {
        block();
    } catch (const std::exception& error) {
        std::cerr << place << ": throws " << error.what() << '\n';
        ++failures;
    }
}
int main() {
TAIL
        echo "$calls    return failures == 0 ? 0 : 1;"
        echo "}"
    } >"$work/fragments.cpp"
    if ! "$compiler" "${flags[@]}" -Wno-unused -Wno-shadow "$work/fragments.cpp" -o "$work/fragments" "${libraries[@]}"; then
        fail "${pages[0]}" "the fragments do not compile"
    else
        (cd "$work" && timeout 120 "${beside[@]}" ./fragments >"$work/fragments.out") ||
            fail "${pages[0]}" "the fragments fail"
    fi
}

cmake_projects() {
    local block dir folder count=0
    for block in "${blocks[@]}"; do
        [[ $(part "$block" language) == cmake && $(part "$block" directive) != shown ]] || continue
        count=$((count + 1)) dir=$work/cmake-$count
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
            { fail "$(part "$block" place)" "the project does not build"; tail -30 "$dir/log"; }
    done
    echo "$count cmake blocks"
    local version
    version=$(sed -nE 's/^#define LARDER_VERSION_(MAJOR|MINOR|PATCH) +([0-9]+)/\2/p' "$root/include/larder/version.hpp" | paste -sd.)
    grep -qF "$version" "$root/README.md" || fail README.md:1 "the version is $version, which it does not say"
}

# The first program of a block's page.
program_beside() {
    local block
    for block in "${blocks[@]}"; do
        [[ $(part "$block" page) == "$(part "$1" page)" ]] && is_program "$block" && { echo "$block"; return; }
    done
}

shell() {
    local block line place text word count=0 sandbox=$work/checkout source
    mkdir "$sandbox"
    ln -s "$root"/* "$sandbox"
    for block in "${blocks[@]}"; do
        case $(part "$block" language) in
            sh | bash | console) ;;
            cpp | cmake | text | sql) continue ;;
            *) fail "$(part "$block" place)" "a block of an unknown language"; continue ;;
        esac
        [[ $(part "$block" directive) != shown ]] || continue
        line=$(part "$block" line)
        while IFS= read -r text; do
            line=$((line + 1)) place=$(part "$block" page):$line text=${text#\$ }
            read -r word _ <<<"$text"
            case ${word:-#} in
                \#* | git | cd | apt | apt-get | sudo) ;;
                g++ | clang++)
                    source=$(grep -oE '[A-Za-z0-9_./-]+\.cpp' <<<"$text" | head -1)
                    [[ -z $source || -e $sandbox/$source ]] || cp "$(program_beside "$block")" "$sandbox/$source"
                    command -v "$word" >/dev/null || continue
                    (cd "$sandbox" && bash -c "$text") || fail "$place" "fails: $text"
                    ;;
                cmake) (cd "$sandbox" && DESTDIR=$work/destination bash -c "$text" >"$work/log" 2>&1) ||
                    { fail "$place" "fails: $text"; tail -20 "$work/log"; } ;;
                *.sh) [[ -x $sandbox/$word ]] || fail "$place" "no such script: $word" ;;
                ./*)
                    (cd "$sandbox" && timeout 60 bash -c "$text" >"$work/log") || fail "$place" "fails: $text"
                    ;;
                *) fail "$place" "a command that this test does not know: $text" ;;
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
