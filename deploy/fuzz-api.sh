#!/usr/bin/env bash
# `make fuzz-api`: requests made up from the OpenAPI document, good and bad ones, sent to a real aggregator on loopback. Fails for any
# answer of 500 and above, and if too few were sent. Takes a minute or two; needs Python 3.10 or newer and its packages.
#
#   EVERYPATH_FUZZ_CASES   most random requests for one operation (20), beside those that are worked out
#   EVERYPATH_FUZZ_VENV    where the Python packages are kept between two runs
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"

TOOL=schemathesis==4.32.5
CASES_MIN=2000
WORK=$(mktemp -d "${TMPDIR:-/tmp}/everypath-fuzz-api.XXXXXX")
SERVER=
finish() {
    if [[ -n $SERVER ]]; then
        kill "$SERVER" 2>/dev/null || true
        # It still writes while it ends.
        wait "$SERVER" 2>/dev/null || true
    fi
    rm -rf -- "$WORK"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

require_packages 'making up requests' python3:python3
VENV=${EVERYPATH_FUZZ_VENV:-$WORK/venv}
if [[ ! -x $VENV/bin/schemathesis ]]; then
    if ! { python3 -m venv "$VENV" && "$VENV/bin/pip" install --quiet --disable-pip-version-check "$TOOL"; } >"$WORK/log" 2>&1; then
        fail "$TOOL cannot be installed: $(tail -n 1 "$WORK/log")"
    fi
fi
build_programs ''

export EVERYPATH_ADMIN_PASSWORD='correct horse battery staple 9'
"$BIN_DIR/aggregator" serve --data-dir "$WORK/data" --listen 127.0.0.1:0 --http 127.0.0.1:0 >"$WORK/server.log" 2>&1 &
SERVER=$!
for ((attempt = 0; attempt < 150; attempt++)); do
    [[ ! -s $WORK/data/addresses.json ]] || break
    kill -0 "$SERVER" 2>/dev/null || fail "the aggregator did not start: $(tail -n 3 "$WORK/server.log")"
    sleep 0.2
done
HTTP=$(sed -n 's/.*"http": *"\([^"]*\)".*/\1/p' "$WORK/data/addresses.json")
TOKEN=$("$BIN_DIR/aggregator" api-token create --data-dir "$WORK/data" --name a-name-that-nobody-guesses --role admin)

# What is no JSON is sent as it comes out.
cat >"$WORK/hooks.py" <<'HOOKS'
import schemathesis


@schemathesis.serializer("application/vnd.everypath.batch")
def batch(ctx, value):
    return value if isinstance(value, bytes) else repr(value).encode()
HOOKS

status=0
(cd "$WORK" && SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$WORK "$VENV/bin/schemathesis" run "http://$HTTP/api/v1/openapi.json" \
    --header "Authorization: Bearer $TOKEN" --phases examples,coverage,fuzzing --checks not_a_server_error --continue-on-failure \
    --max-examples "${EVERYPATH_FUZZ_CASES:-20}" --generation-database none --suppress-health-check all --request-timeout 30 \
    --no-color --warnings off) >"$WORK/out" 2>&1 || status=$?
sed -n '/= ERRORS =/,$p; /= FAILURES =/,$p' "$WORK/out" | head -n 200
sed -n '/= SUMMARY =/,$p' "$WORK/out"
kill -0 "$SERVER" 2>/dev/null || fail "the aggregator ended: $(tail -n 5 "$WORK/server.log")"
if ((status != 0)); then fail 'not every request was answered as it should be; the lines above say which.'; fi
CASES=$(sed -n 's/^ *\([0-9]*\) generated.*/\1/p' "$WORK/out")
if ((${CASES:-0} < CASES_MIN)); then fail "only ${CASES:-0} requests were made; $CASES_MIN are the least."; fi
say "ok  $CASES requests, 0 server errors"
