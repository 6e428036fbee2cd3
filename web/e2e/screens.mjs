/**
 * Opens every page in light and dark, wide and on a phone, takes a picture of each, and checks it with axe.
 * Fails on any accessibility finding, on any breach of the content security policy, and on any script error.
 *
 *   node e2e/screens.mjs --url http://127.0.0.1:8080 --name admin --password secret --out shots [--only pair,join]
 *                      [--schemes dark]
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { pagesOf } from './pages.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    name: { type: 'string', default: 'admin' },
    password: { type: 'string', default: 'everypath' },
    out: { type: 'string', default: 'dist-screens' },
    only: { type: 'string' },
    schemes: { type: 'string', default: 'light,dark' },
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
  for (const colorScheme of options.schemes.split(',')) {
    for (const [size, shape] of Object.entries(SIZES)) await visit(colorScheme, size, shape);
  }
} finally {
  await browser.close();
}
for (const fault of faults) console.error(fault);
console.log(`${pictures} pictures in ${options.out}, ${faults.length} findings`);
process.exit(faults.length > 0 ? 1 : 0);

async function visit(colorScheme, size, shape) {
  // What comes in while axe looks must not be half faded in either.
  const context = await browser.newContext({ ...shape, colorScheme, reducedMotion: 'reduce' });
  context.setDefaultTimeout(20_000);
  const label = `${colorScheme}-${size}`;
  context.on('weberror', (found) =>
    faults.push(`${label}: script error: ${found.error().message}`),
  );
  context.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(`${label}: ${message.text()}`);
  });
  const page = await context.newPage();

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
  await page.waitForSelector('[data-testid=now], [data-testid=no-agents]');
  const names = await agentNames(page);
  if (names.length < 2) {
    await look(page, `${label}-empty`);
    return context.close();
  }

  for (const [name, steps] of Object.entries(pagesOf(names))) {
    if (isWanted(name)) await visitPage(context, `${label}-${name}`, steps);
  }
  if (isWanted('keyboard')) await openPair(page, label);
  if (isWanted('menu') && size === 'phone') await openMenu(page, label);
  await context.close();
}

/** Each in a page of its own, so that nothing prepared for one of them reaches another. */
async function visitPage(context, name, { path, ready, prepare, act }) {
  const page = await context.newPage();
  try {
    await prepare?.(page);
    await page.goto(options.url + path);
    await page.waitForSelector(ready);
    await act?.(page);
    await page.waitForTimeout(500);
    await look(page, name);
    await weighWidth(page, name);
  } catch (error) {
    // The others are worth a look all the same.
    faults.push(`${name}: ${error.message.split('\n')[0]}`);
  }
  await page.close();
}

async function weighWidth(page, name) {
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  if (overflow > 0) faults.push(`${name}: the page is ${overflow} px wider than the window`);
}

function isWanted(name) {
  return !options.only || options.only.split(',').some((part) => name.startsWith(part));
}

/** Two agents of the mesh, whichever it is: far enough apart to be of two sites where there are two; and an endpoint. */
async function agentNames(page) {
  const { agents } = await page.evaluate(async () => (await fetch('/api/v1/agents')).json());
  const members = agents.filter(({ kind }) => kind !== 'endpoint');
  const endpoint = agents.find(({ kind }) => kind === 'endpoint')?.name;
  return members.length < 2 ? [] : [members[1].name, (members[4] ?? members[0]).name, endpoint];
}

async function openMenu(page, label) {
  await page.goto(options.url);
  await page.getByRole('button', { name: 'Menu' }).click();
  await page.waitForSelector('dialog[open]');
  await look(page, `${label}-menu`);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog[open]', { state: 'detached' });
}

/** By keyboard alone: the picture must be usable without a pointer. */
async function openPair(page, label) {
  await page.goto(`${options.url}/matrix`);
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

/** What is half faded in has half of its contrast; what moves for ever is not waited for. */
async function settle(page) {
  await page.evaluate(() => {
    const passing = document
      .getAnimations()
      .filter(({ effect }) => effect?.getComputedTiming().endTime !== Infinity);
    return Promise.all(passing.map(({ finished }) => finished.catch(() => undefined)));
  });
}

async function look(page, name) {
  await settle(page);
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
