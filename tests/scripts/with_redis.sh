#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# with_redis.sh COMMAND [ARGUMENT…]: runs the command beside a redis-server of its own; @URL@ among the
# arguments, and $LARDER_REDIS_URL, are its address. 77 where there is no redis-server.
set -uo pipefail
command -v redis-server >/dev/null || { echo "skipped: there is no redis-server (apt install redis-server)"; exit 77; }
folder=$(mktemp -d)
redis-server --port 0 --unixsocket "$folder/redis.sock" --save '' --appendonly no --dir "$folder" >"$folder/log" &
server=$!
trap 'kill $server; wait $server 2>/dev/null; rm -rf "$folder"' EXIT
for ((i = 0; i < 200; i++)); do
    [[ ! -S $folder/redis.sock ]] || break
    kill -0 $server 2>/dev/null || { cat "$folder/log"; exit 1; }
    sleep 0.05
done
export LARDER_REDIS_URL="unix://$folder/redis.sock"
"${@//@URL@/$LARDER_REDIS_URL}"
