# SPDX-License-Identifier: MIT
# with_progress LOG COMMAND…: runs the command, its output at the end of LOG, and says each half minute how far
# it is: what ninja, make or ctest wrote last. To be sourced.
with_progress() {
    local log=$1 ticker status=0
    shift
    (
        started=$SECONDS
        # A wait that leaves no sleep behind when it is killed; who reads our output would wait for that.
        while kill -0 $$ 2>/dev/null && ! read -rt 30 _ <> <(:); do
            at=$(tail -n 100 "$log" | grep -aoE '^\[ *[0-9]+(/[0-9]+|%)\]|^ *[0-9]+/[0-9]+ Test ' | tail -1 | grep -oE '[0-9]+(/[0-9]+|%)') || true
            echo "   … ${at:-under way} after $((SECONDS - started)) s"
        done
    ) &
    ticker=$!
    "$@" >>"$log" 2>&1 || status=$?
    { kill "$ticker"; wait "$ticker"; } 2>/dev/null || true
    return "$status"
}
