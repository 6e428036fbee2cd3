// Each key of a program has a row in its reference page with its default, and no row is of a key that is gone.
import { readFileSync } from 'node:fs';

/** What differs between the keys in the source of a program and the table of its page, as sentences. `shared` has keys of both programs. */
export function compareKeys(source, shared, page) {
  const constants = new Map([...source.matchAll(/const (\w+): &str = "([^"]*)";/g)].map(([, name, value]) => [name, value]));
  const one = (name) => new RegExp(`const ${name}: Key = Key \\{[\\s\\S]*?\\n\\};`).exec(shared)?.[0] ?? '';
  const own = /SCHEMA: Schema = Schema \{[\s\S]*?\n\};/.exec(source)?.[0] ?? '';
  // What is only known when the program is built has no default in the page.
  const schema = own
    .replace(/everypath_update::(\w+)/g, (_, name) => one(name))
    .replace(/default: match [\s\S]*?\n {4}\},/g, 'default: "",');
  const keys = new Map();
  for (const [, name, text, constant] of schema.matchAll(/name: "([^"]+)",\s*default: (?:"([^"]*)"|(\w+)),/g))
    keys.set(name, text ?? constants.get(constant));
  const rows = new Map([...page.matchAll(/^\| \[?`([^`]+)`[^|]*\| (?:`([^`]*)`|none) \|/gm)].map(([, name, value]) => [name, value ?? '']));
  const problems = keys.size === 0 ? ['no key was found in the source'] : [];
  for (const [name, value] of keys) {
    if (!rows.has(name)) problems.push(`the key \`${name}\` has no row`);
    else if (rows.get(name) !== value) problems.push(`the default of \`${name}\` is \`${value}\`, not \`${rows.get(name)}\``);
  }
  for (const name of rows.keys()) if (!keys.has(name)) problems.push(`there is no key \`${name}\``);
  return problems;
}

const PAIRS = [
  ['aggregator/src/config.rs', 'docs/reference/aggregator-toml.md'],
  ['mesh-agent/src/config.rs', 'docs/reference/agent-toml.md'],
];

/** All that differs, for both programs. */
export function checkKeys(read) {
  const problems = [];
  const shared = read('protocol/update/src/settings.rs');
  for (const [source, page] of PAIRS) {
    const [code, text] = [read(source), read(page)];
    problems.push(...compareKeys(code, shared, text).map((problem) => `${page}: ${problem}`));
    // A check that cannot fail proves nothing: without its first row the page must be refused, and with another default too.
    const first = /^\| \[`.*$/m.exec(text)?.[0] ?? '';
    const broken = [text.replace(first, ''), text.replace(first, first.replace(/\| `[^`]*` \|/, '| `x` |'))];
    if (broken.some((one) => compareKeys(code, shared, one).length === 0)) problems.push(`${page}: the check of keys finds nothing`);
  }
  return problems;
}

export const readFrom = (root) => (path) => readFileSync(`${root}/${path}`, 'utf8');
