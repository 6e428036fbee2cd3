# shellcheck shell=bash
# Servers for the tests of the store. Expects say and fail of tools.sh.

# The directories of the servers that were started, or begun to be.
DATABASES=()

# Each test makes a database of its own on them. TOOL is deploy/db/db. A server that cannot be had on this machine is a skip: the
# tool says why and ends with 77. Any other failure ends this step: tests that silently run without a database prove nothing.
start_databases() {
    local tool=$1 kind variable dir url code
    for kind in postgres timescale-apache timescale-wasm; do
        variable=EVERYPATH_TEST_${kind^^}_URL
        variable=${variable//-/_}
        [[ -z ${!variable:-} ]] || continue
        dir=$(mktemp -d "${TMPDIR:-/tmp}/everypath-db.XXXXXX")
        DATABASES+=("$dir")
        code=0
        url=$("$tool" start "$kind" "$dir" --unsafe-fast --owner $$ | tail -n 1) || code=$?
        case $code in
            0)
                [[ $url == postgres://* ]] || fail "'$tool start $kind' ended well and its last line is no URL: '$url'."
                export "$variable=$url"
                ;;
            77) say "The tests run without $kind; the line SKIPPED above says why." ;;
            *)
                fail "the server $kind for the tests did not start: '$tool start $kind' ended with $code; its lines above say why. Mend that, or set $variable to the URL of a server of yours."
                ;;
        esac
    done
}

stop_databases() {
    local tool=$1 dir
    for dir in "${DATABASES[@]}"; do "$tool" stop "$dir" || true; done
}
