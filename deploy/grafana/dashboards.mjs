// The dashboards as values, and their queries as Grafana would send them.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const HERE = dirname(fileURLToPath(import.meta.url));
export const ROOT = resolve(HERE, '../..');

/** Every dashboard, by its file's name. */
export function dashboards() {
  const files = readdirSync(join(HERE, 'dashboards')).sort();
  return new Map(files.map((file) => [file, JSON.parse(readFileSync(join(HERE, 'dashboards', file), 'utf8'))]));
}

/** Every query of a dashboard: those of its panels and those that fill its variables. */
export function queries(board) {
  const ofPanels = board.panels.flatMap((panel) =>
    panel.targets.map((target) => ({
      where: `${panel.title} ${target.refId}`,
      kind: target.datasource.type,
      text: target.rawSql ?? target.expr,
      format: target.format,
    })),
  );
  const ofVariables = board.templating.list
    .filter((variable) => variable.type === 'query')
    .map((variable) => ({ where: `variable ${variable.name}`, kind: variable.datasource.type, text: variable.query, format: 'variable' }));
  return [...ofPanels, ...ofVariables];
}

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

/**
 * What Grafana sends to PostgreSQL. `variables` maps names to lists of values; `timescale` is the data source's switch of that
 * name, which groups time by TimescaleDB's function in place of arithmetic.
 */
export function expandSql(text, { variables, from, to, timescale, intervalS = 10 }) {
  const group = (column) =>
    timescale ? `time_bucket('${intervalS}.000s',${column})` : `floor(extract(epoch from ${column})/${intervalS})*${intervalS}`;
  const done = text
    .replaceAll(/\$__timeFilter\(([^)]+)\)/g, (_, column) => `${column} BETWEEN '${from.toISOString()}' AND '${to.toISOString()}'`)
    .replaceAll(/\$__timeGroupAlias\(([^,]+), *\$__interval\)/g, (_, column) => `${group(column)} AS "time"`)
    .replaceAll(/\$\{(\w+):sqlstring\}/g, (whole, name) => variables[name]?.map(quoted).join(',') ?? whole)
    .replaceAll(/\$\{(\w+):raw\}/g, (whole, name) => variables[name]?.join(',') ?? whole);
  if (/\$(__|\{)/.test(done)) throw new Error(`this test cannot expand: ${done}`);
  return done;
}

/** What Grafana sends to Prometheus. */
export function expandPromql(text, { variables }) {
  const done = text.replaceAll('$__rate_interval', '1m').replaceAll(/\$(\w+)/g, (whole, name) => variables[name]?.join('|') ?? whole);
  if (done.includes('$')) throw new Error(`this test cannot expand: ${done}`);
  return done;
}
