#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# with_postgres.sh COMMAND [ARGUMENT…]: runs the command beside a PostgreSQL server of its own; @INFO@ among the
# arguments, and $LARDER_POSTGRES_INFO, say to libpq how it is reached. 77 where there is none.
set -uo pipefail
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
PATH=${bin:+$bin:}$PATH
command -v initdb postgres pg_isready >/dev/null || { echo "skipped: there is no PostgreSQL (apt install postgresql)"; exit 77; }
folder=$(mktemp -d)
as=()
if [[ $(id -u) == 0 ]]; then  # it does not run as root
    user=nobody
    ! id postgres >/dev/null 2>&1 || user=postgres
    chown "$user" "$folder"
    as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
fi
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${as[@]}" initdb --pgdata data --username larder --auth trust --no-sync --no-locale --encoding UTF8 >log 2>&1 ||
    { cat log; exit 1; }
"${as[@]}" postgres -D data -k "$folder" -c listen_addresses= -c fsync=off -c shared_buffers=16MB >log 2>&1 &
server=$!
trap 'kill -INT $server; wait $server 2>/dev/null; rm -rf "$folder"' EXIT
for ((i = 0; i < 600; i++)); do
    ! pg_isready -q -h "$folder" || break
    kill -0 $server 2>/dev/null || { cat log; exit 1; }
    sleep 0.05
done
cd - >/dev/null
export LARDER_POSTGRES_INFO="host=$folder user=larder dbname=postgres"
"${@//@INFO@/$LARDER_POSTGRES_INFO}"
