import { readFileSync } from 'node:fs';
import { describe as about, expect, it } from 'vitest';
import { attemptOf, curlOf, missing, shownBody, whyNot } from '../src/model/attempt';
import { describe, exampleOf, tablesOf, type Operation } from '../src/model/openapi';

const DOCUMENT: unknown = JSON.parse(
  readFileSync(new URL('../../aggregator/openapi.json', import.meta.url), 'utf8'),
);
const described = describe(DOCUMENT);
const all = described.sections.flatMap(({ operations }) => operations);

function operation(id: string): Operation {
  const found = all.find((one) => one.id === id);
  if (!found) throw new Error(`The document has no operation ${id}.`);
  return found;
}

about('the description of the API', () => {
  it('shows every operation of the document once', () => {
    const { paths } = DOCUMENT as { paths: Record<string, Record<string, unknown>> };
    const count = Object.values(paths).reduce((sum, item) => sum + Object.keys(item).length, 0);
    expect(all).toHaveLength(count);
    expect(new Set(all.map(({ id }) => id)).size).toBe(count);
  });

  it('gives every body that a page can send an example that is JSON', () => {
    const bodies = all.flatMap(({ body }) => (body && !body.isBinary ? [body.example] : []));
    expect(bodies.length).toBeGreaterThan(5);
    for (const example of bodies) expect(JSON.parse(example)).toBeTypeOf('object');
  });

  it('finds members through references, lists and what a schema is made of', () => {
    const { schema } = operation('availability_report').answers[0];
    const tables = tablesOf(described.document, schema ?? {});
    expect(tables.map(({ name }) => name)).toContain('PairOfReport');
    const pair = tables.find(({ name }) => name === 'PairOfReport');
    expect(pair?.fields.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['up_s', 'source', 'loss_percent']),
    );
  });

  it('survives a document that is none, and a schema that names itself', () => {
    expect(describe(null).sections).toEqual([]);
    const root = {
      components: { schemas: { A: { properties: { a: { $ref: '#/components/schemas/A' } } } } },
    };
    const itself = { $ref: '#/components/schemas/A' };
    expect(exampleOf(root, itself)).toBeTypeOf('object');
    expect(tablesOf(root, itself)).toHaveLength(1);
  });
});

about('a request that is tried', () => {
  it('puts parameters where they belong, and leaves out the empty ones', () => {
    const series = operation('pair_series');
    expect(missing(series, { source: 'a' })).toContain('target');
    const { path } = attemptOf(series, { source: 'a b', target: 'c/d', range: '1h', to: ' ' }, '');
    expect(path).toBe('/api/v1/pairs/a%20b/c%2Fd/series?range=1h');
  });

  it('proves that the page asked, where something is changed', () => {
    const create = attemptOf(operation('user_create'), {}, '{}');
    expect(create.headers['X-Everypath-Request']).toBe('1');
    expect(create.body).toBe('{}');
    const list = attemptOf(operation('users_list'), {}, '');
    expect(list.headers['X-Everypath-Request']).toBeUndefined();
    expect(list.body).toBeNull();
  });

  it('says what no page can send', () => {
    expect(whyNot(operation('ingest'))).not.toBe('');
    expect(whyNot(operation('live'))).not.toBe('');
    expect(whyNot(operation('agents_list'))).toBe('');
  });

  it('is written for a terminal with quotes that hold', () => {
    const attempt = attemptOf(operation('user_create'), {}, '{"name": "o\'brien"}');
    const curl = curlOf(attempt, 'https://a.example', false);
    expect(curl).toContain("'https://a.example/api/v1/users'");
    expect(curl).toContain('Bearer $TOKEN');
    expect(curl).toContain("o'\\''brien");
    expect(curlOf(attempt, '', true)).not.toContain('$TOKEN');
  });

  it('cuts an answer that would make the page slow', () => {
    expect(shownBody('{"a":1}', 'application/json').text).toBe('{\n  "a": 1\n}');
    expect(shownBody('{"a', 'application/json').text).toBe('{"a');
    expect(shownBody('x'.repeat(50_000), 'text/csv').isCut).toBe(true);
  });
});
