// Every page is in the summary once, and every link, also of the files at the root, leads somewhere: to a file that exists, and to a heading that it has.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkKeys, readFrom } from './keys.mjs';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const DOCS = join(ROOT, 'docs');
const problems = [];

const pages = readdirSync(DOCS, { recursive: true })
  .filter((path) => path.endsWith('.md') && path !== 'SUMMARY.md')
  .sort();
const read = (path) => readFileSync(join(DOCS, path), 'utf8');
/** Without what only looks like Markdown. */
const prose = (text) => text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()#]/g, ''));

const listed = [...read('SUMMARY.md').matchAll(/\]\(([^)]+)\)/g)].map(([, path]) => path);
for (const page of pages) {
  const times = listed.filter((path) => path === page).length;
  if (times !== 1) problems.push(`docs/${page} is ${times} times in docs/SUMMARY.md, and should be once`);
}
for (const path of listed) if (!pages.includes(path)) problems.push(`docs/SUMMARY.md names docs/${path}, which does not exist`);

/** The anchors of a page, as GitHub and mdBook make them. */
function anchors(path) {
  const seen = new Map();
  return [...prose(readFileSync(path, 'utf8')).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
    const anchor = text
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-');
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

// The files at the root are not in the book, and lead into it.
const outside = readdirSync(ROOT).filter((path) => path.endsWith('.md'));
let links = 0;
for (const page of [...pages.map((path) => `docs/${path}`), ...outside]) {
  for (const [, link] of prose(readFileSync(join(ROOT, page), 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    links += 1;
    const [path, anchor] = link.split('#');
    const target = path ? normalize(join(ROOT, dirname(page), path)) : join(ROOT, page);
    if (!existsSync(target)) problems.push(`${page} links to ${relative(ROOT, target)}, which does not exist`);
    else if (anchor && target.endsWith('.md') && !anchors(target).includes(anchor))
      problems.push(`${page} links to ${link}, and there is no such heading`);
  }
}

problems.push(...checkKeys(readFrom(ROOT)));

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`${pages.length} pages and ${outside.length} files at the root, ${links} links: all pages in the summary, all lead somewhere`);
