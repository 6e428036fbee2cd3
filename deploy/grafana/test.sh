#!/usr/bin/env bash
# Checks the dashboards and the rules: as files, by Grafana's own model of dashboards, by promtool, and by running every query of them against a database and a
# Prometheus that this fills. Grafana itself is not here, so how a panel looks is not shown. Leaves nothing behind.
#
#   EVERYPATH_BIN_DIR          the directory of the programs, everypath-bench too (target/debug)
#   EVERYPATH_GRAFANA_VENV     where Grafana's model is kept between two runs (a directory)
#   EVERYPATH_PROMETHEUS_DIR   the directory of `prometheus` and `promtool`; else from the PATH, else Debian's, unpacked
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"

# The number before the "!" is how its makers order versions.
MODEL='grafana-foundation-sdk==1769699998!10.1.0'

check_model() {
    local venv=${EVERYPATH_GRAFANA_VENV:-$WORK/venv}
    if [[ ! -x $venv/bin/python ]]; then
        if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "$MODEL"; } >"$WORK/log" 2>&1; then
            say "SKIPPED: grafana: its model cannot be installed: $(tail -n 1 "$WORK/log")"
            return
        fi
    fi
    "$venv/bin/python" "$ROOT/deploy/grafana/model.py" "$ROOT/deploy/grafana/dashboards"
    say "ok  Grafana's model knows everything in the dashboards"
    # A check that lets everything pass looks the same.
    mkdir "$WORK/broken"
    sed 's/"drawStyle"/"drawStile"/' "$ROOT/deploy/grafana/dashboards/agent.json" >"$WORK/broken/agent.json"
    if "$venv/bin/python" "$ROOT/deploy/grafana/model.py" "$WORK/broken" 2>"$WORK/log"; then fail 'the model let a misspelt name pass.'; fi
    say "ok  refused: $(head -n 1 "$WORK/log")"
}

find_prometheus() {
    if [[ -n ${EVERYPATH_PROMETHEUS_DIR:-} ]]; then return; fi
    if command -v prometheus promtool >/dev/null; then
        EVERYPATH_PROMETHEUS_DIR=$(dirname "$(command -v prometheus)")
        return
    fi
    # Not installed: the package would start it, and it would scrape this machine.
    (cd "$WORK" && { apt-get download prometheus || { apt-get update -q && apt-get download prometheus; }; } && dpkg-deb --extract prometheus_*.deb prometheus) >"$WORK/log" 2>&1 || return 1
    EVERYPATH_PROMETHEUS_DIR=$WORK/prometheus/usr/bin
}

why_not_run() {
    local pair
    if ((EUID != 0)); then printf 'a network namespace and TimescaleDB need root\n' && return; fi
    for pair in psql:postgresql-client nft:nftables ip:iproute2 unshare:util-linux; do
        if ! command -v "${pair%%:*}" >/dev/null; then printf '%s is not installed (package %s)\n' "${pair%%:*}" "${pair#*:}" && return; fi
    done
    unshare --net true 2>/dev/null || printf 'this machine forbids network namespaces\n'
}

main() {
    local code=0 why
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/everypath-grafana.XXXXXX")
    trap 'rm -rf -- "$WORK"' EXIT
    node --test --test-reporter=spec "$ROOT/deploy/grafana/check.mjs"
    check_model
    if ! find_prometheus; then
        say "SKIPPED: prometheus: it is neither installed nor can its package be had: $(tail -n 1 "$WORK/log")"
        return
    fi
    "$EVERYPATH_PROMETHEUS_DIR/promtool" check rules "$ROOT/deploy/prometheus/everypath.rules.yml"
    "$EVERYPATH_PROMETHEUS_DIR/promtool" test rules "$ROOT/deploy/prometheus/everypath.test.yml"
    why=$(why_not_run)
    if [[ -n $why ]]; then
        say "SKIPPED: grafana: $why"
        return
    fi
    build_programs everypath-bench
    export EVERYPATH_BIN_DIR=$BIN_DIR EVERYPATH_PROMETHEUS=$EVERYPATH_PROMETHEUS_DIR/prometheus
    # Once outside, where what is missing can be fetched.
    "$ROOT/deploy/db/db" run timescale-apache --unsafe-fast -- true || code=$?
    # The line SKIPPED is there already.
    ((code != 77)) || return 0
    ((code == 0)) || fail 'no database; the lines above say why.'
    # shellcheck disable=SC2016
    unshare --net sh -euc 'ip link set lo up; exec "$@"' - \
        "$ROOT/deploy/db/db" run timescale-apache --unsafe-fast -- node --test --test-reporter=spec "$ROOT/deploy/grafana/test.mjs"
    say 'Every query and every rule works.'
}

main "$@"
