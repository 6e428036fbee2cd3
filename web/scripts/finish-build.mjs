/**
 * After the bundler: drops unused styles, names the result by its content, weighs it against the limits,
 * and compresses what is served for ever. Purging comes before naming, because a style sheet that changed
 * under an unchanged name would live on in every browser's cache.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { PurgeCSS } from 'purgecss';

const DIST = new URL('../dist', import.meta.url).pathname;
const ASSETS = join(DIST, 'assets');
const INDEX = join(DIST, 'index.html');

const MANIFEST = join(DIST, '.vite/manifest.json');

/** First load of any page on a slow link: about a second and a half at 0.5 Mbit/s, all together. */
const LIMITS_GZIP = { js: 60 * 1024, css: 25 * 1024 };
/** What a page fetches once it is shown already, such as the charts. */
const LATER_LIMIT_GZIP = 30 * 1024;

await purge();
weigh();
for (const name of readdirSync(ASSETS)) compress(join(ASSETS, name));

async function purge() {
  const css = only('.css').map((name) => join(ASSETS, name));
  const content = [INDEX, ...only('.js').map((name) => join(ASSETS, name))];
  const results = await new PurgeCSS().purge({
    css,
    content,
    variables: true,
    safelist: { greedy: [/data-theme/] },
  });
  for (const { file, css: purged } of results) rename(file, purged);
}

function rename(file, text) {
  const digest = createHash('sha256').update(text).digest('base64url').slice(0, 10);
  const name = `index-${digest}.css`;
  writeFileSync(file, text);
  renameSync(file, join(ASSETS, name));
  for (const user of [INDEX, ...only('.js').map((script) => join(ASSETS, script))]) {
    const before = readFileSync(user, 'utf8');
    if (user !== INDEX && before.includes(basename(file))) {
      throw new Error(
        `${basename(user)} names ${basename(file)}: its own name would need to change too`,
      );
    }
    writeFileSync(user, before.replaceAll(basename(file), name));
  }
}

/** The style sheet, and every page with all the scripts that it needs to show itself. */
function weigh() {
  const chunks = JSON.parse(readFileSync(MANIFEST, 'utf8'));
  rmSync(join(DIST, '.vite'), { recursive: true });
  const entries = Object.values(chunks);
  const start = entries.find((chunk) => chunk.isEntry);
  const weights = [['css', only('.css').map((name) => join(ASSETS, name)), LIMITS_GZIP.css]];
  for (const chunk of entries.filter((candidate) => candidate.isDynamicEntry)) {
    if (chunk.src?.includes('/page/')) {
      weights.push([basename(chunk.src), [...filesOf(start), ...filesOf(chunk)], LIMITS_GZIP.js]);
    } else {
      // What every page starts with is there already.
      const there = new Set(filesOf(start));
      const fetched = filesOf(chunk).filter((file) => !there.has(file));
      weights.push([`${chunk.name}, later`, fetched, LATER_LIMIT_GZIP]);
    }
  }
  const verdicts = weights.map(([what, files, limit]) => {
    const bytes = [...new Set(files)].reduce((sum, file) => sum + gzipped(file), 0);
    const verdict = bytes > limit ? 'OVER THE LIMIT' : 'ok';
    console.log(`${what}: ${kib(bytes)} gzip of at most ${kib(limit)}: ${verdict}`);
    return bytes <= limit;
  });
  if (verdicts.includes(false)) process.exit(1);

  function filesOf(chunk) {
    const imported = (chunk.imports ?? []).flatMap((key) => filesOf(chunks[key]));
    return [join(DIST, chunk.file), ...imported];
  }
}

function gzipped(file) {
  return gzipSync(readFileSync(file), { level: 9 }).length;
}

function compress(file) {
  const bytes = readFileSync(file);
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: quality }));
  console.log(`${basename(file)}: ${kib(bytes.length)}, br ${kib(statSync(`${file}.br`).size)}`);
}

function only(ending) {
  return readdirSync(ASSETS).filter((name) => name.endsWith(ending));
}

function kib(bytes) {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
