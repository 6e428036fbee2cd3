// What can be wrong about dashboards and rules without running anything: ids, places, data sources, names of metrics.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HERE, ROOT, dashboards, queries } from './dashboards.mjs';

const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const rules = read('deploy/prometheus/everypath.rules.yml');

/** The names in the programs' sources, where each is written once. */
function namesOfPrograms() {
  const named = (path, pattern, prefix) => [...read(path).matchAll(pattern)].map(([, name]) => prefix + name);
  const call = /\b(?:counters?|gauge)\(\s*"([a-z_]+)"/g;
  return new Set([
    ...named('aggregator/src/telemetry.rs', call, 'everypath_aggregator_'),
    ...named('mesh-agent/src/metrics.rs', call, 'everypath_agent_'),
    ...named('mesh-agent/src/metrics.rs', /"everypath_agent_([a-z_]+)"/g, 'everypath_agent_'),
    ...named('mesh-agent/src/status/json.rs', /\bgauge\(\s*"([a-z_]+)"/g, 'everypath_agent_'),
    ...named('mesh-agent/src/status/json.rs', /"everypath_agent_([a-z_]+)"/g, 'everypath_agent_'),
  ]);
}

const metricsIn = (text) => [...text.matchAll(/\beverypath_(?:agent|aggregator)_[a-z_]+/g)].map(([name]) => name.replace(/_bucket$/, ''));

for (const [file, board] of dashboards()) {
  test(`${file} is in order`, () => {
    assert.equal(`${board.uid}.json`, `everypath-${file}`);
    assert.ok(board.title && board.description && board.tags.includes('everypath'));
    const ids = board.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'two panels have the same id');
    const taken = new Set();
    for (const panel of board.panels) {
      const { x, y, w, h } = panel.gridPos;
      assert.ok(x >= 0 && x + w <= 24, `${panel.title} leaves the grid`);
      for (let row = y; row < y + h; row += 1)
        for (let column = x; column < x + w; column += 1) {
          assert.ok(!taken.has(`${column},${row}`), `${panel.title} lies over another panel`);
          taken.add(`${column},${row}`);
        }
      const letters = panel.targets.map(({ refId }) => refId);
      assert.equal(new Set(letters).size, letters.length, `${panel.title}: two queries have the same letter`);
      const hasUnits = panel.type !== 'timeseries' || panel.fieldConfig.defaults.unit;
      assert.ok(hasUnits, `${panel.title} has no unit`);
      // Whoever imports it by hand chooses the sources.
      for (const { datasource } of panel.targets) assert.match(datasource.uid, /^\$\{(database|prometheus)\}$/);
    }
    const known = new Set(board.templating.list.map(({ name }) => name));
    const text = JSON.stringify(board);
    for (const [, name] of text.matchAll(/\$\{?([a-z]\w*)\b(?!\.)/g)) assert.ok(known.has(name), `nothing sets the variable ${name}`);
    for (const name of known) assert.ok(text.includes(`\${${name}`) || text.includes(`$${name}`), `nobody uses the variable ${name}`);
  });
}

test('every metric that is asked for exists', () => {
  const exist = namesOfPrograms();
  assert.ok(exist.size > 40, `only ${exist.size} names were found in the sources: this test does not see them any more`);
  const asked = [
    ...metricsIn(rules),
    ...[...dashboards().values()].flatMap((board) => queries(board).flatMap(({ text }) => metricsIn(text))),
  ];
  const missing = [...new Set(asked)].filter((name) => !exist.has(name));
  assert.deepEqual(missing, [], 'these are asked for, and no program counts them');
  const shown = new Set(asked);
  const unseen = [...exist].filter((name) => !shown.has(name));
  // What two others say already.
  const enough = ['everypath_agent_dropped_records'];
  assert.deepEqual(
    unseen.filter((name) => !enough.includes(name)),
    [],
    'these are counted, and no dashboard or rule shows them',
  );
});

test('every alert is in the test of the rules', () => {
  const tested = read('deploy/prometheus/everypath.test.yml');
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  assert.ok(alerts.length > 20);
  assert.deepEqual(
    alerts.filter((name) => !tested.includes(`alertname="${name}"`)),
    [],
  );
});

test('what Grafana reads is granted, and no more is granted than that', () => {
  const [, list] = /grant select on ([^;]+) to grafana/.exec(readFileSync(join(HERE, 'reader.sql'), 'utf8'));
  const granted = list.split(/,\s*/);
  const all = [...dashboards().values()].flatMap((board) => queries(board).filter(({ kind }) => kind !== 'prometheus'));
  const custom = ['sample_minute', 'sample_hour', 'sample_day'];
  const read = new Set(custom);
  for (const { text } of all) for (const [, table] of text.matchAll(/\b(?:from|join) ([a-z_]+)\b(?!\()/g)) read.add(table);
  // Of `extract(epoch from …)`.
  for (const word of ['now', 'expires_at']) read.delete(word);
  assert.deepEqual([...read].sort(), [...granted].sort());
});

test('what the provisioning takes from the environment is there in the stack', () => {
  const provisioning = read('deploy/grafana/provisioning/datasources/everypath.yaml');
  const wanted = [...provisioning.matchAll(/\$([A-Z_]+)/g)].map(([, name]) => name);
  const compose = read('deploy/compose.yaml');
  const grafana = compose.slice(compose.indexOf('\n  grafana:'), compose.indexOf('\n  agent-1:'));
  assert.equal(wanted.length, 4);
  for (const name of wanted) assert.ok(grafana.includes(`      ${name}: `), name);
});
