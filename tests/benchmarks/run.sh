#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/benchmarks/run.sh [PART…]: builds what is needed, optimised, runs it, prints tables, and leaves plots (SVG)
# beside the programs. Without a part: memory, latency, bytes, hit_ratio.
#
#   memory       throughput of MemoryStore beside its peers: hits, mixes, loads, evictions
#   latency      how long a single get takes under a mix of reads and writes
#   growth       the longest get while a store grows to 10,000,000 entries
#   bytes        what an entry takes beyond its key and value
#   hit_ratio    hit ratios of eviction policies on traces, beside the optimum
#   verbs        write-behind, tags, memoize
#   drain        journals of write-behind drained into SQLite and PostgreSQL beside batches written by hand
#   sqlite       SqliteJournal: writers at once beside one wait for the disk a write
#   redis        the Redis client and store beside raw hiredis
#   near         near copies beside a MemoryStore and beside Redis; three primaries beside one
#   fleet        messages, loads and staleness of near copies as a fleet grows: simulated
#
# Peers that are not installed are left out: libtbb-dev (oneTBB); libcaffeine-java and a JDK (Caffeine); Boost 1.83 or
# later (concurrent_flat_map). Everything is run in turn, round after round: ratios within a run count, absolute
# figures say little.
#
#   LARDER_BUILD_DIR          where to build, else build/; the programs are in its folder benchmarks
#   LARDER_BENCHMARK_THREADS  the numbers of threads, else 1,2
#   LARDER_BENCHMARK_UNDER    a command that runs each measurement
#   LARDER_TRACES             the folder with the traces of hit_ratio, else it makes some up, NAME.u64 or NAME.u64.zst; else streams are made up
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${LARDER_BUILD_DIR:-$root/build}/benchmarks
threads=${LARDER_BENCHMARK_THREADS:-1,2}
read -ra under <<<"${LARDER_BENCHMARK_UNDER:-}"
parts=("$@")
((${#parts[@]})) || parts=(memory latency bytes hit_ratio)

programs_of() {
    case $1 in
        memory) echo memory ;;
        latency | growth) echo memory_latency ;;
        bytes) echo memory_bytes ;;
        sqlite) echo sqlite_journal ;;
        fleet) echo fleet_simulation ;;
        hit_ratio | verbs | drain | near) echo "$1" ;;
        redis) echo redis_client redis_store ;;
        *) sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
    esac
}
targets=()
for part in "${parts[@]}"; do
    for program in $(programs_of "$part"); do
        targets+=("benchmark_$program")
    done
done
((${#targets[@]})) || exit 2

mkdir -p "$dir"
generator=() launcher=()
[[ -e $dir/CMakeCache.txt ]] || ! command -v ninja >/dev/null || generator=(-G Ninja)
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
echo "== building in $dir"
if ! { cmake -S "$root" -B "$dir" "${generator[@]}" "${launcher[@]}" -DCMAKE_BUILD_TYPE=Release \
    -DLARDER_BUILD_TESTS=ON -DLARDER_BUILD_BENCHMARKS=ON -DLARDER_BUILD_EXAMPLES=OFF &&
    cmake --build "$dir" -j "$(nproc)" --target "${targets[@]}"; } >"$dir/build.log" 2>&1; then
    tail -40 "$dir/build.log"
    exit 1
fi

# Caffeine's harness, where Caffeine and a JDK are there.
caffeine=$(ls /usr/share/java/caffeine.jar 2>/dev/null || true)
if [[ -n $caffeine ]] && command -v javac >/dev/null; then
    javac -cp "$caffeine" -d "$dir/java" "$root/tests/benchmarks/Caffeine.java"
    export LARDER_CAFFEINE="exec java -Xms1g -Xmx4g -cp '$caffeine:$dir/java' CaffeinePeer"
else
    echo "   without Caffeine: libcaffeine-java or a JDK is missing"
fi

bin=$dir/tests
run() { "${under[@]}" "$@"; }
for part in "${parts[@]}"; do
    echo "== $part"
    case $part in
        memory)
            for workload in hits hits_1m text mix load insert; do
                run "$bin/benchmark_memory" $workload threads="$threads" folder="$dir"
            done ;;
        latency) run "$bin/benchmark_memory_latency" get ;;
        growth) run "$bin/benchmark_memory_latency" growth ;;
        bytes) run "$bin/benchmark_memory_bytes" ;;
        hit_ratio) run "$bin/benchmark_hit_ratio" --store --plots="$dir" ${LARDER_TRACES:+"$LARDER_TRACES"} ;;
        verbs)
            run "$bin/benchmark_verbs" --benchmark_enable_random_interleaving=true --benchmark_repetitions=9 \
                --benchmark_report_aggregates_only=true ;;
        drain) run "$bin/benchmark_drain" ;;
        sqlite) run "$bin/benchmark_sqlite_journal" "$dir" ;;
        near) for workload in hit many cluster; do run "$bin/benchmark_near" $workload; done ;;
        fleet) run "$bin/benchmark_fleet_simulation" --plots="$dir" ;;
        redis)
            for workload in alone crowd down; do run "$bin/benchmark_redis_client" $workload; done
            for workload in hit many trips down tags; do run "$bin/benchmark_redis_store" $workload; done ;;
    esac
done
plots=("$dir"/*.svg)
[[ ! -e ${plots[0]} ]] || echo "plots: ${plots[*]}"
