#!/usr/bin/env bash
# Checks that every page is in the summary and every link leads somewhere; then builds the book where mdbook is installed, and
# looks at the links of what came out, which mdBook itself does not.
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/../.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"

node "$ROOT/deploy/docs/check.mjs"
if ! command -v mdbook >/dev/null; then
    say 'SKIPPED: mdbook: it is not installed (cargo install mdbook, or the package of Debian trixie)'
    exit 0
fi
WORK=$(mktemp -d "${TMPDIR:-/tmp}/everypath-docs.XXXXXX")
trap 'rm -rf -- "$WORK"' EXIT
mdbook build --dest-dir "$WORK/book" "$ROOT"
node "$ROOT/deploy/docs/check-book.mjs" "$WORK/book"
