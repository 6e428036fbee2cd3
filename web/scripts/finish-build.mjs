/**
 * After the bundler: drops unused styles, names the result by its content, weighs it against the limits,
 * and compresses what is served for ever. Purging comes before naming, because a style sheet that changed
 * under an unchanged name would live on in every browser's cache.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { PurgeCSS } from 'purgecss';

const DIST = new URL('../dist', import.meta.url).pathname;
const ASSETS = join(DIST, 'assets');
const INDEX = join(DIST, 'index.html');

/** First load on a slow link: about a second and a half at 0.5 Mbit/s, all together. */
const LIMITS_GZIP = { js: 60 * 1024, css: 25 * 1024 };

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

function weigh() {
  let isOver = false;
  for (const [kind, limit] of Object.entries(LIMITS_GZIP)) {
    const bytes = only(`.${kind}`).reduce(
      (sum, name) => sum + gzipSync(readFileSync(join(ASSETS, name)), { level: 9 }).length,
      0,
    );
    isOver ||= bytes > limit;
    const verdict = bytes > limit ? 'OVER THE LIMIT' : 'ok';
    console.log(`${kind}: ${kib(bytes)} gzip of at most ${kib(limit)}: ${verdict}`);
  }
  if (isOver) process.exit(1);
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
