#!/usr/bin/env bash
# Every check there is, quickest first. `make test` and CI run all of them, `make lint` those that run nothing.
#
#   deploy/test.sh               all steps
#   deploy/test.sh lint          the steps of `make lint`
#   deploy/test.sh sim e2e       the steps named
#
# A step that fails does not keep the next ones from running. The last line says how many passed and failed.
#   EVERYPATH_PROFILE            cargo profile of the programs that the end-to-end tests run (dev)
#   EVERYPATH_E2E_FULL=1         the long versions of the end-to-end tests
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"
# shellcheck source=deploy/databases.sh
source "$ROOT/deploy/databases.sh"
cd "$ROOT"

LINT_STEPS=(floors scripts web-lint fmt clippy tidy)
ALL_STEPS=(floors scripts web-lint web-check web-test web-build fmt clippy databases test doc-test sim programs e2e)

# --- the steps -------------------------------------------------------------------------------------------------------------

step_floors() { node deploy/floors.mjs; }

# The scripts and the end-to-end tests themselves.
step_scripts() {
    local file files=(deploy/*.sh deploy/*/*.sh deploy/lab/lab deploy/db/db .github/*.sh .ci/run)
    for file in "${files[@]}"; do bash -n "$file"; done
    if command -v shellcheck >/dev/null; then
        shellcheck --external-sources --source-path="$ROOT" deploy/*.sh deploy/{compose,db,docker,docs,grafana,helm,systemd}/*.sh \
            deploy/lab/lab deploy/db/db .github/*.sh .ci/run
    else
        skipped shellcheck 'it is not installed (package shellcheck)'
    fi
    web/node_modules/.bin/prettier --config e2e/.prettierrc --check 'e2e/**/*.mjs' 'deploy/*.mjs' 'deploy/*/*.mjs' 'deploy/db/wasm/*.mjs'
    node deploy/docs/check.mjs
}

step_web-lint() { (cd web && npm run --silent lint); }
step_web-check() { (cd web && npm run --silent check); }
step_web-test() { (cd web && npm run --silent test); }
step_web-build() { (cd web && npm run --silent build); }

step_fmt() { cargo fmt --all --check; }
step_clippy() { cargo clippy --workspace --all-targets --locked -- -D warnings; }
# The rules about layout and dependencies that no compiler knows. A test like others, by itself here because it is a lint.
step_tidy() { cargo test --workspace --locked --test tidy; }

# The tool that starts database servers, by itself, and what the next step makes of its answers.
step_databases() { node --test --test-concurrency=1 --test-reporter=spec deploy/databases.test.mjs deploy/db/db.test.mjs; }

step_test() {
    trap 'stop_databases deploy/db/db' EXIT
    start_databases deploy/db/db
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --locked
    else
        cargo test --workspace --locked --all-targets
    fi
}

# nextest does not run the examples in the documentation.
step_doc-test() { cargo test --workspace --locked --doc; }

step_sim() { cargo run --profile measure --locked -p simulations -- all; }

step_programs() { build_programs everypath-bench; }

# One file after the other: on two cores, two meshes at once would be late for reasons of their own.
step_e2e() {
    build_programs everypath-bench
    export EVERYPATH_BIN_DIR=$BIN_DIR
    # Quickest first: the lab by itself, then single programs, then whole meshes.
    node --test --test-concurrency=1 --test-reporter=spec \
        e2e/labtool.test.mjs e2e/refusals.test.mjs e2e/loopback.test.mjs e2e/demo.test.mjs e2e/lab.test.mjs e2e/pages.test.mjs e2e/alerts.test.mjs e2e/alert-pages.test.mjs e2e/config.test.mjs e2e/config-page.test.mjs e2e/keeping.test.mjs e2e/replicas.test.mjs e2e/replica-alerts.test.mjs
}

# What is installed: units, images, compose, chart, dashboards, workflows. It takes downloads and half an hour, so it is not among
# the steps of `make test`; the workflow of that name runs it.
step_ship() {
    build_programs everypath-bench
    export EVERYPATH_BIN_DIR=$BIN_DIR
    local part
    for part in .github/check.sh deploy/{docs,helm,systemd,docker,compose,grafana}/test.sh; do
        say "--- $part"
        "$part"
    done
}

# --- running them ----------------------------------------------------------------------------------------------------------

skipped() {
    say "SKIPPED: $1: $2"
}

# As root what is missing is installed. Without root the tests that lack something say so, and are counted as skipped.
prepare() {
    local wants_rust=0 wants_web=0 wants_machine=0 step
    for step in "${STEPS[@]}"; do
        case $step in
            fmt | clippy | tidy | test | doc-test | sim) wants_rust=1 ;;
            programs | ship) wants_rust=1 wants_web=1 ;;
            databases) wants_machine=1 ;;
            e2e) wants_rust=1 wants_web=1 wants_machine=1 ;;
            floors | scripts | web-*) wants_web=1 ;;
        esac
    done
    if ((wants_rust)); then require_rust; fi
    if ((wants_web)); then
        require_node
        install_web_packages
    fi
    ((EUID == 0)) && command -v apt-get >/dev/null || return 0
    if [[ " ${STEPS[*]} " == *' scripts '* ]]; then (require_packages 'checking the scripts' shellcheck:shellcheck) || true; fi
    if ((wants_machine)); then
        (require_packages 'the lab' ip:iproute2 nft:nftables setpriv:util-linux sysctl:procps) || true
        if [[ -z ${EVERYPATH_CHROMIUM:-} ]] && ! command -v chromium-browser google-chrome >/dev/null; then
            (require_packages 'the browser test' chromium:chromium) || true
        fi
    fi
}

# A child of its own for each step, so that `set -e` holds inside: it does not in a function that stands in a condition.
run_step() {
    local step=$1 began=$SECONDS status=0 skips seconds
    say ''
    say "=== $step"
    set +e
    (
        set -e
        "step_$step"
    ) 2>&1 | tee "$LOGS/$step"
    status=${PIPESTATUS[0]}
    set -e
    seconds=$((SECONDS - began))
    skips=$(grep -c 'SKIPPED: ' "$LOGS/$step" || true)
    SKIPS=$((SKIPS + skips))
    if ((skips > 0)) && [[ ${CI:-} == true ]]; then
        say "$step skipped $skips test(s), and in CI nothing is skipped."
        status=1
    fi
    if ((status == 0)); then
        PASSED=$((PASSED + 1))
        SUMMARY+=("$(printf 'passed  %-10s %5d s' "$step" "$seconds")")
    else
        FAILED=$((FAILED + 1))
        SUMMARY+=("$(printf 'FAILED  %-10s %5d s' "$step" "$seconds")")
    fi
}

choose_steps() {
    local step
    case ${1:-all} in
        all) STEPS=("${ALL_STEPS[@]}") ;;
        lint) STEPS=("${LINT_STEPS[@]}") ;;
        *)
            STEPS=("$@")
            for step in "$@"; do
                if [[ $(type -t "step_$step") != function ]]; then fail "there is no step '$step'. There are: ${ALL_STEPS[*]} tidy, or 'lint' for ${LINT_STEPS[*]}."; fi
            done
            ;;
    esac
}

main() {
    local step
    PASSED=0 FAILED=0 SKIPS=0 SUMMARY=()
    choose_steps "$@"
    LOGS=$(mktemp -d "${TMPDIR:-/tmp}/everypath-test.XXXXXX")
    trap 'rm -rf -- "$LOGS"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    prepare
    for step in "${STEPS[@]}"; do run_step "$step"; done
    say ''
    printf '%s\n' "${SUMMARY[@]}"
    if ((SKIPS > 0)); then say "$SKIPS skipped: see the lines with SKIPPED above."; fi
    say "$PASSED passed, $FAILED failed"
    ((FAILED == 0))
}

main "$@"
