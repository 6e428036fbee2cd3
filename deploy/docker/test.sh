#!/usr/bin/env bash
# Builds the images and runs them as docs/guide/docker.md says: an aggregator on SQLite, two agents that join by a token, all
# with a read-only file system and no capability. Passes when the API shows the pair. Needs root; leaves nothing behind.
#
#   EVERYPATH_BIN_DIR     the directory of the programs (target/debug)
#   EVERYPATH_BASE_TAR    see engine.sh
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"
# shellcheck source=deploy/docker/engine.sh
source "$ROOT/deploy/docker/engine.sh"

LOCKED_DOWN=(--read-only --cap-drop ALL --security-opt no-new-privileges --memory 512m)

clean_up() {
    stop_engine
    rm -rf -- "$WORK"
}

agent() {
    local name=$1
    docker volume create "$name" >/dev/null
    docker run --rm "${LOCKED_DOWN[@]}" --network mesh --volume "$name:/var/lib/everypath-agent" \
        everypath/agent join "$TOKEN" --name "$name" --site test
    docker run --detach "${LOCKED_DOWN[@]}" --network mesh --volume "$name:/var/lib/everypath-agent" --name "$name" everypath/agent >/dev/null
}

# Both cells, each "ok": the engine's network loses nothing.
matrix_is_complete() {
    ask_api /api/v1/matrix >"$WORK/matrix.json" &&
        [[ $(grep -o '"state":"ok"' "$WORK/matrix.json" | wc -l) -ge 2 ]]
}

ask_api() { beside_engine curl --silent --fail --insecure --header "Authorization: Bearer $API_TOKEN" "https://127.0.0.1:8443$1"; }

show_logs() { docker logs aggregator 2>&1 | tail -n 20; }

# In the network of the host, as the guide advises for hosts that are to be watched themselves.
agent_of_the_host() {
    local data=(--volume host:/var/lib/everypath-agent --add-host aggregator:127.0.0.1)
    beside_engine sysctl --quiet net.ipv4.ping_group_range='0 2147483647'
    docker volume create host >/dev/null
    docker run --rm "${LOCKED_DOWN[@]}" --network host "${data[@]}" everypath/agent join "$TOKEN" --name host --site test
    docker run --detach "${LOCKED_DOWN[@]}" --network host "${data[@]}" --name host everypath/agent >/dev/null
}

host_may_ping() {
    docker exec host mesh-agent status >"$WORK/status" && ! grep -q 'NOT PERMITTED' "$WORK/status"
}

is_healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' "$1") == healthy ]]; }

main() {
    local why
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/everypath-docker.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    why=$(why_no_engine)
    if [[ -n $why ]]; then
        say "SKIPPED: docker: $why"
        return
    fi
    start_engine
    import_root debian:bookworm-slim "${EVERYPATH_BASE_TAR:-$WORK/base.tar}"
    build_programs ''
    "$ROOT/deploy/docker/build.sh" --programs "$BIN_DIR"

    docker network create mesh >/dev/null
    docker volume create aggregator >/dev/null
    docker run --detach "${LOCKED_DOWN[@]}" --network mesh --name aggregator --publish 8443:8443 \
        --volume aggregator:/var/lib/everypath everypath/aggregator serve --advertise https://aggregator:8443 >/dev/null
    wait_until 'the aggregator is ready, through its published port' 30 beside_engine curl --silent --fail --insecure https://127.0.0.1:8443/readyz
    TOKEN=$(docker exec aggregator aggregator token create --uses 3 --advertise https://aggregator:8443)
    API_TOKEN=$(docker exec aggregator aggregator api-token create --name test --role admin)
    agent one
    agent two
    wait_until 'the matrix shows the pair, both ways' 90 matrix_is_complete
    wait_until 'the agent calls itself healthy' 60 is_healthy one
    agent_of_the_host
    wait_until 'an agent in the network of the host runs, and may ping' 30 host_may_ping
    [[ $(docker top one -eo pid,uid | awk 'END { print $2 }') == 65532 ]] || fail 'the agent does not run as user 65532.'
    say 'ok  it runs as user 65532'
    docker stop --time 15 one aggregator >/dev/null
    [[ $(docker inspect --format '{{.State.ExitCode}}' aggregator) == 0 ]] || fail 'the aggregator did not end in order on SIGTERM.'
    [[ $(docker inspect --format '{{.State.ExitCode}}' one) == 0 ]] || fail 'the agent did not end in order on SIGTERM.'
    say 'ok  both end in order'
    say 'The images work.'
}

main "$@"
