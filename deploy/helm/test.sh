#!/usr/bin/env bash
# Lints the chart, renders it with each set of values in everypath/ci, and validates what comes out against the schemas of
# Kubernetes. Then breaks copies of it on purpose, because a check that lets everything pass looks the same. Needs no cluster.
#
#   EVERYPATH_HELM_VENV    where the tools are kept between two runs (a directory; they take 300 MB)
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"

CHART=$ROOT/deploy/helm/everypath
# The oldest that the chart promises, and one of now.
KUBERNETES=(1.27 1.33)
TOOLS=(helm-python-sdk==0.2.2 kubernetes-validate==1.37.0 pyyaml)

install_tools() {
    VENV=${EVERYPATH_HELM_VENV:-$WORK/venv}
    [[ ! -x $VENV/bin/kubernetes-validate ]] || return 0
    python3 -m venv "$VENV" && "$VENV/bin/pip" install --quiet --disable-pip-version-check "${TOOLS[@]}"
}

# Everything about one chart; says what is wrong.
check() {
    local chart=$1 out version
    out=$(mktemp -d "$WORK/rendered.XXXXXX")
    "$VENV/bin/python" "$ROOT/deploy/helm/check.py" "$chart" "$out" || return 1
    for version in "${KUBERNETES[@]}"; do
        "$VENV/bin/kubernetes-validate" --quiet --strict --kubernetes-version "$version" "$out"/*.yaml || return 1
    done
    COUNT=$(find "$out" -name '*.yaml' | wc -l)
}

# What it is, then a sed script and the file it is for. The check must fail.
must_refuse() {
    local what=$1 script=$2 file=$3 copy
    copy=$(mktemp -d "$WORK/broken.XXXXXX")/everypath
    cp -r "$CHART" "$copy"
    sed -i "$script" "$copy/$file"
    if cmp --silent "$copy/$file" "$CHART/$file"; then fail "the test does not break $file any more: $what."; fi
    if check "$copy" >"$WORK/said" 2>&1; then fail "the check let this pass: $what."; fi
    say "ok  refused: $what: $(grep . "$WORK/said" | tail -n 1 | cut -c 1-120)"
}

main() {
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/everypath-helm.XXXXXX")
    trap 'rm -rf -- "$WORK"' EXIT
    if ! install_tools >"$WORK/install.log" 2>&1; then
        say "SKIPPED: helm: its tools cannot be installed: $(tail -n 1 "$WORK/install.log")"
        return
    fi
    check "$CHART"
    say "ok  the chart is sound: $COUNT objects from $(find "$CHART/ci" -name '*-values.yaml' | wc -l) sets of values"

    must_refuse 'a template that does not parse' 's/{{- end }}/{{- en }}/' templates/agent/daemonset.yaml
    must_refuse 'a value that does not exist' 's/aggregator.persistence.size/aggregator.persistance.size/' templates/aggregator/scale.yaml
    must_refuse 'YAML that is no YAML' 's/^spec:/ spec:/' templates/aggregator/network.yaml
    must_refuse 'a field that a DaemonSet does not have' 's/^  updateStrategy:/  replicas: 3\n  updateStrategy:/' templates/agent/daemonset.yaml
    must_refuse 'a word where a number belongs' 's/backoffLimit: 5/backoffLimit: five/' templates/aggregator/migrate.yaml
    must_refuse 'a value that is misspelt' 's/replicas: 3/replica: 3/' ci/postgresql-values.yaml
    must_refuse 'replicas without a database' 's/^aggregator:/aggregator:\n  replicas: 2/' ci/sqlite-values.yaml
    must_refuse 'agents without a token' '/token:/d' ci/agents-values.yaml
    must_refuse 'an ingress without a host' 's/host: everypath.example, //' ci/postgresql-values.yaml
    say 'The chart is sound.'
}

main "$@"
