#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples/fleet.sh [SECONDS]: a Redis Cluster of three primaries and three replicas on loopback ports, and two
# services on it with near copies of their own. One service is killed, and then a primary, while you watch.
# Installs nothing: it needs g++, cmake, redis-server, redis-cli, and the packages of examples/run.sh.
set -euo pipefail
seconds=${1:-15}
case $seconds in *[!0-9]* | '') echo "usage: examples/fleet.sh [SECONDS]" >&2; exit 2 ;; esac
for program in cmake redis-server redis-cli; do
    command -v "$program" >/dev/null || { echo "First install what is missing: $program" >&2; exit 77; }
done

root=$(cd "$(dirname "$0")/.." && pwd)
fleet=${LARDER_FLEET_PROGRAM:-}
if [[ -z $fleet ]]; then
    build=${LARDER_BUILD_DIR:-$root/build}/examples
    mkdir -p "$build"
    echo "Building …"
    generator=()
    if ! [[ -e $build/CMakeCache.txt ]] && command -v ninja >/dev/null; then
        generator=(-G Ninja)
    fi
    { cmake -S "$root" -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DLARDER_BUILD_TESTS=OFF &&
        cmake --build "$build" --target larder_example_fleet; } >"$build/fleet.log" 2>&1 ||
        { tail -20 "$build/fleet.log" >&2; exit 1; }
    fleet=$build/examples/larder_example_fleet
fi

folder=$(mktemp -d)
servers=()
stop() {
    kill "${servers[@]}" 2>/dev/null || true
    for server in "${servers[@]}"; do
        for ((i = 0; i < 50; i++)); do
            kill -0 "$server" 2>/dev/null || break
            sleep 0.1
        done
    done
    rm -rf "$folder"
}
trap stop EXIT
begin() {  # in the background, and without a word when it is killed
    "$@" &
    servers+=($!)
    disown
}

serve() {
    exec redis-server --port "$1" --bind 127.0.0.1 --dir "$folder/$1" --save '' --appendonly no \
        --cluster-enabled yes --cluster-node-timeout 1000 --cluster-replica-validity-factor 0 \
        --repl-diskless-sync-delay 0 --logfile "$folder/$1/log"
}
# A server's cluster bus listens on its port and 10,000.
ports=()
port=$((15000 + RANDOM % 15000))
while ((${#ports[@]} < 6)); do
    port=$((port + 1))
    ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue
    mkdir "$folder/$port"
    begin serve "$port"
    ports+=("$port")
done
ask() { redis-cli -h 127.0.0.1 -p "$1" "${@:2}" 2>/dev/null; }
await() {  # until the words after the first answer what matches it
    local what=$1
    shift
    for ((i = 0; i < 300; i++)); do
        [[ $("$@") != *"$what"* ]] || return 0
        sleep 0.1
    done
    echo "the cluster does not come up" >&2
    exit 1
}
for port in "${ports[@]}"; do
    await PONG ask "$port" PING
done
redis-cli --cluster create "${ports[@]/#/127.0.0.1:}" --cluster-replicas 1 --cluster-yes >"$folder/create.log" ||
    { cat "$folder/create.log" >&2; exit 1; }
for port in "${ports[@]}"; do
    await cluster_state:ok ask "$port" CLUSTER INFO
    await cluster_known_nodes:6 ask "$port" CLUSTER INFO
done
for port in "${ports[@]:3}"; do
    await master_link_status:up ask "$port" INFO replication
done
echo "A cluster: primaries on ports ${ports[*]:0:3}, replicas on ${ports[*]:3}"

kill_primary() {
    sleep $((seconds / 2)).5
    echo "   the primary on port ${ports[0]} is killed: kill -9"
    kill -9 "${servers[0]}"
    sleep 3
    echo "   it is started again, and is a replica now"
    serve "${ports[0]}"
}
begin kill_primary
"$fleet" "redis+cluster://127.0.0.1:${ports[0]},127.0.0.1:${ports[1]}" "$seconds"
