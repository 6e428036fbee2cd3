# shellcheck shell=bash
# Starts, watches and stops the programs of the demo. Expects the variables of demo.sh.

RESTART_AFTER_S=20
SITES=(alpha beta gamma)

# A program whose starter is killed with SIGKILL gets a SIGTERM from the kernel: nobody else could tell it.
bound_to_us() {
    if command -v setpriv >/dev/null && setpriv --help 2>&1 | grep -q -- --pdeathsig; then
        exec setpriv --pdeathsig TERM -- "$@"
    fi
    exec "$@"
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

first_free_port() {
    local port
    for ((port = $1; port < $1 + 100; port++)); do
        if port_is_free "$port"; then
            printf '%d\n' "$port"
            return 0
        fi
    done
    fail "no port from $1 to $((port - 1)) is free on 127.0.0.1. End what holds them and start again."
}

show_log() {
    printf -- '--- the end of %s:\n' "$1" >&2
    tail -n 20 "$1" >&2 || true
}

# Waits for a file that a program writes when it is ready.
wait_for_file() {
    local file=$1 pid=$2 what=$3 log=$4 deadline=$((SECONDS + 60))
    until [[ -s $file ]]; do
        if ! kill -0 "$pid" 2>/dev/null; then
            show_log "$log"
            fail "$what ended before it was ready; the end of its log is above."
        fi
        if ((SECONDS > deadline)); then
            show_log "$log"
            fail "$what was not ready after 60 s; the end of its log is above."
        fi
        sleep 0.1
    done
}

start_aggregator() {
    local data=$DIRECTORY/aggregator listen advertise
    if [[ -z ${HTTP_PORT:-} ]]; then
        PASSWORD=$(od -An -N10 -tx1 /dev/urandom | tr -d ' \n')
        HTTP_PORT=${EVERYPATH_DEMO_PORT:-8080}
        # 0 lets the system choose; the program writes down what it got.
        if ! port_is_free "$HTTP_PORT"; then HTTP_PORT=0; fi
        if [[ $MODE == lab ]]; then
            HTTPS_ADDRESS=$("$LAB" address aggregator):$(first_free_port 8443)
        else
            HTTPS_ADDRESS=127.0.0.1:$(first_free_port 8443)
        fi
    fi
    listen=$HTTPS_ADDRESS
    advertise=https://$HTTPS_ADDRESS
    mkdir -p "$data"
    rm -f "$data/addresses.json"
    EVERYPATH_ADMIN_PASSWORD=$PASSWORD bound_to_us "$BIN_DIR/aggregator" serve --data-dir "$data" --listen "$listen" \
        --http "127.0.0.1:$HTTP_PORT" --advertise "$advertise" >>"$DIRECTORY/aggregator.log" 2>&1 &
    AGGREGATOR_PID=$!
    printf '%d\n' "$AGGREGATOR_PID" >"$DIRECTORY/aggregator.pid"
    wait_for_file "$data/addresses.json" "$AGGREGATOR_PID" 'the aggregator' "$DIRECTORY/aggregator.log"
    HTTP_PORT=$(sed -n 's/.*"http" *: *"[^"]*:\([0-9]*\)".*/\1/p' "$data/addresses.json")
    if [[ -z $HTTP_PORT ]]; then fail "the aggregator wrote no \"http\" address into $data/addresses.json: $(cat "$data/addresses.json")"; fi
}

# Joins and then becomes the agent, so that the process id that we hold is the agent's.
join_and_run() {
    local name=$1 number=$2 data=$DIRECTORY/$1 address prefix=()
    if [[ $MODE == lab ]]; then
        address=$("$LAB" address "$name")
        prefix=("$LAB" exec "$name")
    else
        address=127.0.1.$number
    fi
    if ! "${prefix[@]}" "$BIN_DIR/mesh-agent" join "$TOKEN" --data-dir "$data" --name "$name" --site "${name%-*}"; then
        exit 1
    fi
    if [[ $MODE == lab ]]; then
        bound_to_us "${prefix[@]}" "$BIN_DIR/mesh-agent" run --data-dir "$data" --listen "$address:7117" --status 127.0.0.1:9117
    fi
    # On loopback all share one machine: the system chooses the ports.
    bound_to_us "$BIN_DIR/mesh-agent" run --data-dir "$data" --listen "$address:0" --status 127.0.0.1:0
}

start_agents() {
    local site host number=0 name
    TOKEN=$("$BIN_DIR/aggregator" token create --data-dir "$DIRECTORY/aggregator" --uses 9 --expires 1h)
    for site in "${SITES[@]}"; do
        for host in 1 2 3; do
            name=$site-$host
            number=$((number + 1))
            join_and_run "$name" "$number" >"$DIRECTORY/$name.log" 2>&1 &
            AGENT_PIDS["$name"]=$!
        done
    done
    for name in "${!AGENT_PIDS[@]}"; do
        wait_for_file "$DIRECTORY/$name/addresses.json" "${AGENT_PIDS[$name]}" "agent $name" "$DIRECTORY/$name.log"
    done
    say ''
    say 'Nine agents have joined by one token of nine uses, and run.'
}

# Killing the programs is part of the fun: an agent stays away, the aggregator comes back after a while on the same port.
watch_until_the_end() {
    local end=0 name status restart_at=0
    if [[ -n ${EVERYPATH_DEMO_SECONDS:-} ]]; then end=$((SECONDS + EVERYPATH_DEMO_SECONDS)); fi
    while ((end == 0 || SECONDS < end)); do
        for name in "${!AGENT_PIDS[@]}"; do
            if kill -0 "${AGENT_PIDS[$name]}" 2>/dev/null; then continue; fi
            status=0
            wait "${AGENT_PIDS[$name]}" 2>/dev/null || status=$?
            say "Agent $name has ended (exit code $status); its log is $DIRECTORY/$name.log."
            unset "AGENT_PIDS[$name]"
        done
        if [[ -n $AGGREGATOR_PID ]] && ! kill -0 "$AGGREGATOR_PID" 2>/dev/null; then
            status=0
            wait "$AGGREGATOR_PID" 2>/dev/null || status=$?
            AGGREGATOR_PID=
            if ((status < 128)); then
                show_log "$DIRECTORY/aggregator.log"
                fail "the aggregator ended by itself (exit code $status); the end of its log is above."
            fi
            say "The aggregator was killed. The agents go on; it starts again in $RESTART_AFTER_S s."
            restart_at=$((SECONDS + RESTART_AFTER_S))
        fi
        if [[ -z $AGGREGATOR_PID ]] && ((SECONDS >= restart_at)); then
            start_aggregator
            say "The aggregator is back at http://127.0.0.1:$HTTP_PORT."
        fi
        # In the background, because bash answers a signal only between commands, but at once during `wait`; without its
        # words, because it would report a killed job in its own.
        sleep 0.5 &
        wait $! 2>/dev/null || true
    done
}

stop_programs() {
    local pid deadline=$((SECONDS + 10)) left
    # The agents first: what they have not sent yet still finds the aggregator there.
    for pid in "${AGENT_PIDS[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    while ((SECONDS < deadline)); do
        left=0
        for pid in "${AGENT_PIDS[@]}"; do
            if kill -0 "$pid" 2>/dev/null; then left=1; fi
        done
        if ((left == 0)); then break; fi
        sleep 0.1
    done
    if [[ -n $AGGREGATOR_PID ]]; then
        kill -TERM "$AGGREGATOR_PID" 2>/dev/null || true
        while ((SECONDS < deadline + 5)) && kill -0 "$AGGREGATOR_PID" 2>/dev/null; do sleep 0.1; done
    fi
    for pid in "${AGENT_PIDS[@]}" ${AGGREGATOR_PID:+"$AGGREGATOR_PID"}; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
