# shellcheck shell=bash
# TimescaleDB's community edition as WebAssembly in Node.js (wasm/): for tests only, and nothing of it is shipped.

WASM=$HERE/wasm

prepare_wasm() {
    local lock
    (require_node) || skipped 'Node.js is missing or too old'
    exec {lock}<"$WASM"
    flock "$lock"
    if [[ ! -e $WASM/node_modules/.package-lock.json || $WASM/package-lock.json -nt $WASM/node_modules/.package-lock.json ]]; then
        (cd "$WASM" && npm ci --no-audit --no-fund) || skipped 'npm could not install the packages of deploy/db/wasm; the lines above say why'
    fi
    exec {lock}<&-
}

# The server's user may not see a clone in somebody's home: it gets a copy.
create_wasm() {
    if "${AS[@]}" test -r "$WASM/node_modules/.package-lock.json" -a -r "$WASM/serve.mjs"; then return 0; fi
    cp -rL "$WASM" "$DIR/wasm"
    chmod -R u+rwX,go+rX "$DIR/wasm"
    "${AS[@]}" node --version >/dev/null 2>&1 || skipped "user $USER_ID, as whom the server would run, cannot run $(command -v node)"
}

serve_wasm() {
    local program=$WASM
    if [[ -d $DIR/wasm ]]; then program=$DIR/wasm; fi
    rm -f "$DIR/run/ready"
    exec "${AS[@]}" node "$program/serve.mjs" "$DIR/data" "$(cat "$DIR/port")" "$DIR/run/ready"
}

ready_wasm() { [[ $(cat "$DIR/run/ready" 2>/dev/null) == $(process_in "$DIR/server") ]]; }

finish_wasm() { :; }

shut_down_wasm() {
    kill -TERM "$(process_in "$DIR/server")"
    wait_for_end "$DIR/server" "$1" || fail "the server in $DIR did not end within $1 s."
}

stop_wasm() { kill_tree "$(process_in "$DIR/server")"; }

clean_wasm() { :; }
