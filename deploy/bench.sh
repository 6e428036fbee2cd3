#!/usr/bin/env bash
# Benchmarks beside their anchors. The last line on standard output is one JSON object, also in target/bench/NAME.json.
#
#   deploy/bench.sh ingest     rows a second into each database, beside COPY of the same rows
#   deploy/bench.sh store      bytes a row, a pair's day, the matrix of now
#   deploy/bench.sh report     the availability of a month of 100 agents
#   deploy/bench.sh sync       200 agents come back with a backlog
#
# Databases are started for it and removed: PostgreSQL, TimescaleDB Apache, TimescaleDB community as WASM. With
# EVERYPATH_TEST_TIMESCALE_URL, a superuser's URL of a server with the community edition, that is measured too.
# What follows NAME is handed to the program; `cargo run -p everypath-bench -- NAME --help` lists it.
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"
cd "$ROOT"

STARTED=()

stop_all() {
    local dir
    for dir in "${STARTED[@]}"; do deploy/db/db stop "$dir" || true; done
}

# Starts a database tuned for benches and exports its URL. One that cannot be had is left out, and says why.
start() {
    local kind=$1 variable=$2 dir url status=0
    dir=$(mktemp -d "${TMPDIR:-/var/tmp}/everypath-bench.XXXXXX")
    STARTED+=("$dir")
    url=$(deploy/db/db start "$kind" "$dir" --owner $$ | tail -n 1) || status=$?
    case $status in
        0) ;;
        77)
            say "$kind is left out; the line SKIPPED above says why."
            return 0
            ;;
        *) fail "$kind did not start: 'deploy/db/db start $kind' ended with $status; its lines above say why." ;;
    esac
    if [[ $kind != timescale-wasm ]]; then deploy/db/db tune "$dir" bench >/dev/null; fi
    export "$variable=$url"
}

main() {
    local name=${1:-}
    case $name in
        ingest | store | report | sync) shift ;;
        *) fail "which benchmark? There are: ingest, store, report, sync." ;;
    esac
    require_rust
    [[ -d web/dist ]] || deploy/web.sh >&2
    cargo build --profile measure --locked -p everypath-bench -p aggregator >&2
    export EVERYPATH_AGGREGATOR=$ROOT/target/measure/aggregator
    trap stop_all EXIT
    start postgres EVERYPATH_BENCH_POSTGRES_URL >&2
    if [[ $name != sync ]]; then
        start timescale-apache EVERYPATH_BENCH_TIMESCALE_APACHE_URL >&2
        if [[ -n ${EVERYPATH_TEST_TIMESCALE_URL:-} ]]; then
            export EVERYPATH_BENCH_TIMESCALE_URL=$EVERYPATH_TEST_TIMESCALE_URL
        elif [[ $name == store ]]; then
            start timescale-wasm EVERYPATH_BENCH_TIMESCALE_WASM_URL >&2
        fi
    fi
    target/measure/everypath-bench "$name" "$@"
}

main "$@"
