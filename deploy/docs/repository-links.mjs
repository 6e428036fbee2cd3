// A preprocessor of mdBook: links that lead out of docs/ get the address of the repository, or become plain text without one.
// mdBook calls a README index, but leaves the links to it.
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

if (process.argv[2] === 'supports') process.exit(0);

const [{ config }, book] = JSON.parse(readFileSync(0, 'utf8'));
const repository = config.output?.html?.['git-repository-url'];

function rewrite(content, page) {
  return content.replaceAll(/\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)/g, (whole, text, link) => {
    const target = posix.normalize(posix.join('docs', posix.dirname(page), link));
    if (target.startsWith('docs/')) return whole.replace(/README\.md(?=[)#])/, 'index.md');
    return repository ? `[${text}](${repository}/blob/HEAD/${target})` : text;
  });
}

function walk(value) {
  if (Array.isArray(value)) return value.forEach(walk);
  if (!value?.Chapter) return;
  const { Chapter: chapter } = value;
  // A line of the summary without a page has no source.
  if (chapter.source_path) chapter.content = rewrite(chapter.content, chapter.source_path);
  walk(chapter.sub_items);
}

walk(book.sections ?? book.items);
process.stdout.write(JSON.stringify(book));
