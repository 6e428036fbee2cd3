// Every link of a built book leads to a file of it, and to an anchor that the file has: check-book.mjs DIRECTORY.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const book = process.argv[2];
const pages = readdirSync(book, { recursive: true }).filter((path) => path.endsWith('.html') && !/^(print|toc|404)\.html$/.test(path));
const read = (path) => readFileSync(join(book, path), 'utf8');
const problems = [];
let links = 0;
for (const page of pages) {
  const [, main = ''] = /<main>([\s\S]*?)<\/main>/.exec(read(page)) ?? [];
  for (const [, link] of main.matchAll(/(?:href|src)="([^"]+)"/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    links += 1;
    const [path, anchor] = link.split('#');
    const target = path ? normalize(join(dirname(page), path)) : page;
    if (target.startsWith('..') || !existsSync(join(book, target))) problems.push(`${page} links to ${link}, which is not in the book`);
    else if (anchor && target.endsWith('.html') && !read(target).includes(`id="${anchor}"`))
      problems.push(`${page} links to ${link}: no such anchor`);
  }
}
for (const problem of problems) console.error(problem);
if (problems.length > 0 || pages.length === 0) process.exit(1);
console.log(`the book: ${pages.length} pages, ${links} links, all lead somewhere`);
