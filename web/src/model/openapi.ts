/** The aggregator's own description of its API, made ready for a page that shows and tries it. */

export type Json = Readonly<Record<string, unknown>>;

export interface Parameter {
  name: string;
  place: 'path' | 'query';
  description: string;
  isRequired: boolean;
  type: string;
  choices: readonly string[];
  example: string;
}

export interface Body {
  type: string;
  schema: Json | null;
  /** As text, ready to be edited. */
  example: string;
  /** Signed or packed bytes, which a page cannot make. */
  isBinary: boolean;
}

export interface Answer {
  status: string;
  description: string;
  types: readonly string[];
  schema: Json | null;
}

export interface Operation {
  id: string;
  method: string;
  path: string;
  tag: string;
  summary: string;
  description: string;
  parameters: readonly Parameter[];
  body: Body | null;
  answers: readonly Answer[];
  /** By whom: "session", "api_token"; empty for everybody. */
  needs: readonly string[];
}

export interface Section {
  tag: string;
  description: string;
  operations: Operation[];
}

export interface Described {
  version: string;
  description: string;
  sections: Section[];
  document: Json;
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/** Total: what a document does not have is shown as empty, not as a failure of the page. */
export function describe(document: unknown): Described {
  const root = objectOf(document);
  const operations = Object.entries(objectOf(root.paths)).flatMap(([path, item]) =>
    METHODS.filter((method) => method in objectOf(item)).map((method) =>
      operationOf(root, path, method, objectOf(objectOf(item)[method])),
    ),
  );
  const tags = listOf(root.tags).map(objectOf);
  const sections = tags.map((tag) => ({
    tag: textOf(tag.name),
    description: textOf(tag.description),
    operations: operations.filter((one) => one.tag === tag.name),
  }));
  const named = new Set(sections.map(({ tag }) => tag));
  const rest = operations.filter(({ tag }) => !named.has(tag));
  if (rest.length > 0) sections.push({ tag: 'other', description: '', operations: rest });
  const info = objectOf(root.info);
  return {
    version: textOf(info.version),
    description: textOf(info.description),
    sections: sections.filter((section) => section.operations.length > 0),
    document: root,
  };
}

function operationOf(root: Json, path: string, method: string, item: Json): Operation {
  return {
    id: textOf(item.operationId) || `${method} ${path}`,
    method: method.toUpperCase(),
    path,
    tag: textOf(listOf(item.tags)[0]),
    summary: textOf(item.summary),
    description: textOf(item.description).replace(/^#+ (\w+)\n/gm, '$1: '),
    parameters: listOf(item.parameters).map((one) => parameterOf(objectOf(one))),
    body: bodyOf(root, objectOf(item.requestBody)),
    answers: Object.entries(objectOf(item.responses)).map(([status, answer]) =>
      answerOf(status, objectOf(answer)),
    ),
    needs: listOf(item.security).flatMap((one) => Object.keys(objectOf(one))),
  };
}

function parameterOf(item: Json): Parameter {
  const schema = objectOf(item.schema);
  return {
    name: textOf(item.name),
    place: item.in === 'path' ? 'path' : 'query',
    description: textOf(item.description),
    isRequired: item.required === true,
    type: typeOf(schema),
    choices: listOf(schema.enum).map(textOf),
    example: item.example === undefined ? '' : String(item.example),
  };
}

function bodyOf(root: Json, item: Json): Body | null {
  const [found] = Object.entries(objectOf(item.content));
  if (!found) return null;
  const [type, media] = found;
  const schema = objectOf(objectOf(media).schema);
  const isJson = /[/+]json$/.test(type);
  const example = isJson ? JSON.stringify(exampleOf(root, schema), null, 2) : '';
  return { type, schema, example, isBinary: !isJson };
}

function answerOf(status: string, item: Json): Answer {
  const content = Object.entries(objectOf(item.content));
  const schema = content.map(([, media]) => objectOf(objectOf(media).schema))[0];
  return {
    status,
    description: textOf(item.description),
    types: content.map(([type]) => type),
    schema: schema ?? null,
  };
}

/** Follows `#/components/schemas/Name`; anything else stays as it is. */
export function resolve(root: Json, schema: Json): Json {
  const path = textOf(schema.$ref);
  if (!path.startsWith('#/')) return schema;
  const found = path
    .slice(2)
    .split('/')
    .reduce<Json>((at, part) => objectOf(at[part]), root);
  return found;
}

export function nameOf(schema: Json): string {
  return textOf(schema.$ref).split('/').at(-1) ?? '';
}

/** Deep enough for every schema of the document, and an end where one names itself. */
const DEPTH_MAX = 6;

export function exampleOf(root: Json, schema: Json, depth = 0): unknown {
  const found = resolve(root, schema);
  if (found.example !== undefined) return found.example;
  if (listOf(found.examples).length > 0) return listOf(found.examples)[0];
  if (depth > DEPTH_MAX) return null;
  if (typeOf(found).startsWith('array')) return [exampleOf(root, objectOf(found.items), depth + 1)];
  const members = fieldsOf(root, found).map(
    (field) => [field.name, exampleOf(root, field.schema, depth + 1)] as const,
  );
  if (members.length > 0) return Object.fromEntries(members);
  return typeOf(found).startsWith('integer') ? 0 : typeOf(found).startsWith('string') ? '' : null;
}

export interface SchemaField {
  name: string;
  type: string;
  description: string;
  isRequired: boolean;
  schema: Json;
  /** The named schema inside it, which has a table of its own. */
  inner: string;
}

/** The members of an object, those of the schemas that it is made of included. */
export function fieldsOf(root: Json, schema: Json): SchemaField[] {
  const found = resolve(root, schema);
  const inherited = listOf(found.allOf).flatMap((part) => fieldsOf(root, objectOf(part)));
  const required = listOf(found.required);
  const own = Object.entries(objectOf(found.properties)).map(([name, value]) => {
    const member = objectOf(value);
    const inner = nameOf(member) || nameOf(objectOf(member.items));
    return {
      name,
      type: typeOf(member),
      description: textOf(member.description) || textOf(resolve(root, member).description),
      isRequired: required.includes(name),
      schema: member,
      inner,
    };
  });
  return [...inherited, ...own];
}

/** The table of a schema, and those of the named ones inside it, each once. */
export function tablesOf(root: Json, schema: Json): { name: string; fields: SchemaField[] }[] {
  const seen = new Set<string>();
  const tables: { name: string; fields: SchemaField[] }[] = [];
  const visit = (one: Json) => {
    const name = nameOf(one);
    if (seen.has(name)) return;
    seen.add(name);
    const fields = fieldsOf(root, one);
    if (fields.length === 0) return;
    tables.push({ name, fields });
    for (const field of fields) {
      if (field.inner !== '')
        visit(nameOf(field.schema) ? field.schema : objectOf(field.schema.items));
    }
  };
  visit(schema);
  return tables;
}

export function typeOf(schema: Json): string {
  if (schema.$ref !== undefined) return nameOf(schema);
  const kinds = (Array.isArray(schema.type) ? schema.type : [schema.type]).map(textOf);
  const words = kinds.filter(Boolean).map((kind) => {
    if (kind !== 'array') return kind;
    const inner = typeOf(objectOf(schema.items));
    return inner === '' ? 'array' : `array of ${inner}`;
  });
  return words.join(' or ');
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Json)
    : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
