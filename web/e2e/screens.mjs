/**
 * Opens every page in light and dark, wide and on a phone, takes a picture of each, and checks it with axe.
 * Fails on any accessibility finding, on any breach of the content security policy, and on any script error.
 *
 *   node e2e/screens.mjs --url http://127.0.0.1:8080 --name admin --password secret --out shots
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    name: { type: 'string', default: 'admin' },
    password: { type: 'string', default: 'everypath' },
    out: { type: 'string', default: 'dist-screens' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
if (!options.url)
  throw new Error('--url is missing: the address of the aggregator or the dev server');

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SIZES = {
  wide: { viewport: { width: 1440, height: 900 } },
  phone: {
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    hasTouch: true,
    isMobile: true,
  },
};
/** Each is a page or a state of it: where to go, and what to wait for. */
const PAGES = {
  matrix: { path: '/', ready: '[data-testid=matrix]' },
  list: { path: '/?view=list', ready: '[data-testid=matrix-list] tr[data-state]' },
  loss: { path: '/?lens=loss&sort=worst', ready: '[data-testid=matrix]' },
  rtt: { path: '/?lens=rtt', ready: '[data-testid=matrix]' },
  missing: { path: '/nowhere', ready: 'main' },
};

mkdirSync(options.out, { recursive: true });
const browser = await chromium.launch({
  executablePath: options.chromium,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const faults = [];
let pictures = 0;

try {
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, shape] of Object.entries(SIZES)) await visit(colorScheme, size, shape);
  }
} finally {
  await browser.close();
}
for (const fault of faults) console.error(fault);
console.log(`${pictures} pictures in ${options.out}, ${faults.length} findings`);
process.exit(faults.length > 0 ? 1 : 0);

async function visit(colorScheme, size, shape) {
  const context = await browser.newContext({ ...shape, colorScheme });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const label = `${colorScheme}-${size}`;
  page.on('pageerror', (error) => faults.push(`${label}: script error: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(`${label}: ${message.text()}`);
  });

  await page.goto(`${options.url}/welcome`);
  await page.waitForSelector('[role=status]');
  await look(page, `${label}-welcome-cut`);
  await page.goto(`${options.url}/welcome#${'x'.repeat(43)}`);
  await page.waitForSelector('#again');
  await look(page, `${label}-welcome`);
  for (const field of ['#password', '#again']) await page.fill(field, 'a password that is good');
  await page.click('button[type=submit]');
  await page.waitForSelector('[role=alert]');
  await look(page, `${label}-welcome-refused`);

  await page.goto(`${options.url}/login`);
  await page.waitForSelector('#name');
  await look(page, `${label}-login`);
  await page.fill('#name', options.name);
  await page.fill('#password', `${options.password}-wrong`);
  await page.click('button[type=submit]');
  await page.waitForSelector('[role=alert]');
  await look(page, `${label}-login-refused`);
  await page.fill('#password', options.password);
  await page.click('button[type=submit]');
  await page.waitForSelector('[data-testid=matrix], [data-testid=join]');

  for (const [name, { path, ready }] of Object.entries(PAGES)) {
    await page.goto(options.url + path);
    await page.waitForSelector(ready);
    await page.waitForTimeout(400);
    await look(page, `${label}-${name}`);
  }
  await openPair(page, label);
  await context.close();
}

/** By keyboard alone: the picture must be usable without a pointer. */
async function openPair(page, label) {
  await page.goto(options.url);
  await page.waitForSelector('[data-testid=matrix]');
  await page.focus('[data-testid=matrix]');
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight', 'ArrowRight', 'ArrowRight']) {
    await page.keyboard.press(key);
  }
  const spoken = await page.textContent('[data-testid=spoken]');
  if (!/ to .*Reverse/.test(spoken ?? ''))
    faults.push(`${label}: the focus is not read out: "${spoken}"`);
  await page.keyboard.press('Enter');
  await page.waitForSelector('[data-testid=pair]');
  const box = await page.locator('[data-testid=matrix]').boundingBox();
  if (box) await page.mouse.move(box.x + box.width * 0.45, box.y + box.height * 0.5);
  await page.waitForTimeout(200);
  await look(page, `${label}-pair`);
  await page.focus('[data-testid=matrix]');
  await page.keyboard.press('Escape');
  await page.waitForSelector('[data-testid=pair]', { state: 'detached' });
}

async function look(page, name) {
  await page.screenshot({ path: join(options.out, `${name}.png`) });
  pictures += 1;
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const { id, help, nodes } of violations) {
    faults.push(
      `${name}: ${id}: ${help}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`,
    );
  }
}
