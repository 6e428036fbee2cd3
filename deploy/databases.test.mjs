// The servers for the tests of the store, with a stand-in for the tool that starts them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const directory = mkdtempSync(join(tmpdir(), 'everypath-databases-'));
after(() => rmSync(directory, { recursive: true }));

/** Runs start_databases with a tool whose `start` is `body`, a piece of shell; then prints what was exported. */
function start(body) {
  const tool = join(directory, 'db');
  writeFileSync(tool, `#!/bin/sh\nkind=$2\n[ "$1" = start ] || exit 0\n${body}\n`);
  chmodSync(tool, 0o755);
  const script = `
    set -euo pipefail
    source deploy/tools.sh
    source deploy/databases.sh
    trap 'stop_databases "$TOOL"; rm -rf -- "\${DATABASES[@]}"' EXIT
    start_databases "$TOOL"
    env | grep '^EVERYPATH_TEST_' | sort || true
    echo the tests run`;
  const env = { PATH: process.env.PATH, HOME: process.env.HOME ?? '/', TMPDIR: directory, TOOL: tool };
  const result = spawnSync('bash', ['-c', script], { cwd: join(import.meta.dirname, '..'), env, encoding: 'utf8' });
  return { code: result.status, output: result.stdout + result.stderr };
}

test('every server that starts is told to the tests', () => {
  const { code, output } = start('echo starting; echo "postgres://everypath@127.0.0.1:1/$kind"');
  assert.equal(code, 0, output);
  assert.match(output, /EVERYPATH_TEST_POSTGRES_URL=postgres:.*\/postgres\n/);
  assert.match(output, /EVERYPATH_TEST_TIMESCALE_WASM_URL=postgres:.*\/timescale-wasm\n/);
});

test('one that cannot be had here is a skip with its reason, and the others start', () => {
  const { code, output } = start(
    'if [ "$kind" = timescale-apache ]; then echo "SKIPPED: $kind: it needs root" >&2; exit 77; fi; echo postgres://x',
  );
  assert.equal(code, 0, output);
  assert.match(output, /SKIPPED: timescale-apache: it needs root/);
  assert.doesNotMatch(output, /TIMESCALE_APACHE_URL/);
  assert.match(output, /TIMESCALE_WASM_URL=/);
});

// The tests went on without the database, and all was said to have passed.
test('one that fails otherwise ends the step, with its name and its exit code', () => {
  for (const code of [1, 2, 139]) {
    const result = start(`if [ "$kind" = timescale-wasm ]; then echo "no room" >&2; exit ${code}; fi; echo postgres://x`);
    assert.equal(result.code, 1, result.output);
    assert.match(result.output, new RegExp(`timescale-wasm for the tests did not start: .* ended with ${code};`));
    assert.match(result.output, /no room/);
    assert.doesNotMatch(result.output, /the tests run/);
  }
});

test('one that ends well and prints no URL ends the step, too', () => {
  const { code, output } = start('true');
  assert.equal(code, 1, output);
  assert.match(output, /no URL/);
});
