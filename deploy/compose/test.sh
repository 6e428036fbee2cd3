#!/usr/bin/env bash
# Starts compose.yaml, all but Grafana, on an engine of its own: our images as they are, and Debian's PostgreSQL, HAProxy and
# Prometheus in place of images that a machine without a registry cannot pull. Needs root; leaves nothing behind.
#
#   EVERYPATH_BIN_DIR         the directory of the programs (target/debug)
#   EVERYPATH_BASE_TAR        see deploy/docker/engine.sh
#   EVERYPATH_STAND_IN_TAR    the same for the image with Debian's servers
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"
# shellcheck source=deploy/docker/engine.sh
source "$ROOT/deploy/docker/engine.sh"

SERVICES=(database keys aggregator-1 aggregator-2 balancer token agent-1 agent-2 agent-3
    metrics-1 metrics-2 metrics-3 metrics-4 metrics-5 reader prometheus)

clean_up() {
    stop_engine
    rm -rf -- "$WORK"
}

find_compose() {
    if docker compose version >/dev/null 2>&1; then
        COMPOSE=(docker compose)
    elif command -v docker-compose >/dev/null; then
        COMPOSE=(docker-compose)
    else
        return 1
    fi
}

compose() { "${COMPOSE[@]}" --project-name everypath --file "$WORK/deploy/compose.yaml" --file "$WORK/deploy/compose/test.yaml" "$@"; }

show_logs() { compose logs --tail 15; }

ask() { beside_engine curl --silent --fail --max-time 5 --insecure "$@"; }

# Through the balancer.
matrix_is_complete() {
    ask --header "Authorization: Bearer $API_TOKEN" https://127.0.0.1:8443/api/v1/matrix >"$WORK/matrix.json" &&
        [[ $(grep -o '"state":"ok"' "$WORK/matrix.json" | wc -l) == 6 ]]
}

prometheus_sees_all() {
    ask --get --data-urlencode 'query=sum(everypath_aggregator_is_leader) == 1 and sum(up) == 5 and sum(everypath_agent_peers) == 6' http://127.0.0.1:9090/api/v1/query |
        grep -q '"value"'
}

rules_are_loaded() { ask http://127.0.0.1:9090/api/v1/rules | grep -q EverypathNobodyLeads; }

# What Grafana would do.
reader_reads() {
    [[ $(compose exec -T database env PGPASSWORD=grafana psql --host 127.0.0.1 --username grafana --dbname everypath --tuples-only --no-align \
        --command 'select count(distinct source) from sample') == 3 ]] &&
        ! compose exec -T database env PGPASSWORD=grafana psql --host 127.0.0.1 --username grafana --dbname everypath --command 'select * from secret'
}

agent_1_is_healthy() { compose exec -T agent-1 mesh-agent status; }

# While a replica is replaced, nobody is turned away. Not /readyz: it says no on purpose, before the balancer has asked.
replace_a_replica() {
    local refused=0 asked=0 stopper
    compose stop aggregator-1 2>/dev/null &
    stopper=$!
    while kill -0 "$stopper" 2>/dev/null; do
        asked=$((asked + 1))
        ask https://127.0.0.1:8443/healthz >/dev/null || refused=$((refused + 1))
        sleep 0.1
    done
    wait "$stopper"
    ((refused == 0)) || fail "$refused of $asked requests failed while a replica was stopped."
    say "ok  a replica was stopped, and none of $asked requests failed"
    matrix_is_complete || fail 'the other replica does not show the matrix.'
}

# What a mesh promises: an agent needs no server to start.
start_an_agent_alone() {
    compose stop aggregator-1 aggregator-2 2>/dev/null
    compose restart agent-1 2>/dev/null
    wait_until 'an agent starts while every aggregator is gone' 60 agent_1_is_healthy
}

main() {
    local why
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/everypath-compose.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    if ! find_compose; then
        say 'SKIPPED: compose: neither docker compose nor docker-compose is installed (package docker-compose)'
        return
    fi
    # A copy, because the engine makes directories that are to be mounted and do not exist.
    mkdir "$WORK/deploy"
    cp -r "$ROOT/deploy/compose.yaml" "$ROOT/deploy/compose" "$ROOT/deploy/prometheus" "$ROOT/deploy/grafana" "$WORK/deploy/"
    export EVERYPATH_BALANCER_IMAGE=everypath-test/debian
    compose config >/dev/null
    say 'ok  compose.yaml is valid'
    why=$(why_no_engine)
    if [[ -n $why ]]; then
        say "SKIPPED: docker: $why"
        return
    fi
    start_engine
    import_root debian:bookworm-slim "${EVERYPATH_BASE_TAR:-$WORK/base.tar}"
    import_root everypath-test/debian "${EVERYPATH_STAND_IN_TAR:-$WORK/stand-in.tar}" postgresql haproxy prometheus
    build_programs ''
    "$ROOT/deploy/docker/build.sh" --programs "$BIN_DIR"

    compose up --detach "${SERVICES[@]}"
    API_TOKEN=$(compose exec -T aggregator-2 aggregator api-token create --name test --role admin)
    wait_until 'three agents have joined by themselves, and the matrix is complete' 90 matrix_is_complete
    wait_until 'Prometheus scrapes replicas and agents, and one replica leads' 60 prometheus_sees_all
    wait_until 'Prometheus has the rules' 30 rules_are_loaded
    wait_until 'the role of Grafana reads measurements, and no keys' 60 reader_reads
    replace_a_replica
    start_an_agent_alone
    compose up --detach "${SERVICES[@]}" 2>/dev/null
    wait_until 'a second start keeps the mesh' 60 matrix_is_complete
    say 'compose.yaml works. SKIPPED: grafana: its image is not here'
}

main "$@"
