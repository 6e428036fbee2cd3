/** The configuration of the mesh: reading it, changing it as form and as text, reviewing, and what stands in the way. */

import { problem, session } from './answers.mjs';

const busy = problem(503, 'busy', 'The database does not answer.');
const READY = '[data-testid=in-force]';
const FORM = '[data-testid=edit-endpoints]';

export function configPages() {
  return {
    config: { path: '/config', ready: READY },
    'config-viewer': { path: '/config', prepare: session('viewer'), ready: READY },
    'config-none': { path: '/config', prepare: nothingYet, ready: READY },
    'config-loading': {
      path: '/config',
      prepare: (page) => page.route('**/api/v1/config', () => undefined),
      ready: '[role=status] .bar',
    },
    'config-failed': {
      path: '/config',
      prepare: (page) => page.route('**/api/v1/config', busy),
      ready: '.notice',
    },
    'config-older': {
      path: '/config?before=12',
      ready: '[data-testid=versions] tbody a',
      act: bottom,
    },
    'config-form': { path: '/config/edit', ready: FORM },
    'config-form-faults': { path: '/config/edit', ready: FORM, act: faulty },
    'config-form-lists': { path: '/config/edit', ready: FORM, act: bottom },
    'config-pick': { path: '/config/edit', ready: FORM, act: pick },
    'config-text': { path: '/config/edit?as=text', ready: '[data-testid=as-text] textarea' },
    'config-text-faults': {
      path: '/config/edit?as=text',
      ready: '[data-testid=as-text] textarea',
      act: faultyText,
    },
    'config-review': { path: '/config/edit', ready: FORM, act: review },
    'config-review-warned': {
      path: '/config/edit?as=text',
      ready: '[data-testid=as-text] textarea',
      act: reviewWarned,
    },
    'config-conflict': { path: '/config/edit', ready: FORM, act: conflict },
    'config-version': { path: '/config/versions/2', ready: '[data-testid=diff]' },
    'config-version-current': {
      path: '/config/versions/2?with=current',
      ready: '[data-testid=diff]',
    },
    'config-rollback': { path: '/config/versions/2?step=review', ready: '[data-testid=review]' },
    'config-version-missing': { path: '/config/versions/9999', ready: '.notice' },
    'config-no-permission': {
      path: '/config/edit',
      prepare: session('viewer'),
      ready: '[data-testid=no-permission]',
    },
  };
}

async function nothingYet(page) {
  const none = { version: 0, made_at: null, made_by: '', made_by_kind: '', why: '', copy_of: null };
  await page.route('**/api/v1/config/versions?**', (route) =>
    route.fulfill({ json: { versions: [] } }),
  );
  await page.route('**/api/v1/config', async (route) => {
    const { config } = await (await route.fetch()).json();
    const lists = { endpoints: [], agents: [], exclude: [] };
    await route.fulfill({ json: { ...none, config: { ...config, ...lists } } });
  });
  await page.route('**/api/v1/config/agents', (route) =>
    route.fulfill({ json: { version: 0, current: 0, agents: [] } }),
  );
}

async function bottom(page) {
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
}

async function faulty(page) {
  await page.fill('[name="probe.timeout"]', '10m');
  await page.fill('[name="cells.down_after_losses"]', '40');
  await page.getByRole('button', { name: 'Add an endpoint' }).click();
  await page
    .locator('[data-testid=edit-endpoints] li')
    .last()
    .locator('input')
    .nth(1)
    .fill('127.0.0.1');
  await page.getByRole('button', { name: 'Review' }).click();
  await page.waitForSelector('[data-testid=faults]');
}

async function pick(page) {
  await page.getByRole('button', { name: 'Pick agents' }).click();
  await page.locator('[data-testid=pick-agents] [type=checkbox]').first().check();
}

async function faultyText(page) {
  await page.fill(
    'textarea',
    '{\n  "probe": { "interval": "5s", "timout": "1s" },\n  "endpoints": [\n    { "name": 7, "address": "192.0.2.1" }\n  ]\n}\n',
  );
  await page.getByRole('button', { name: 'Review' }).click();
  await page.waitForSelector('[data-testid=faults]');
}

async function review(page) {
  await page.fill('[name="probe.interval"]', '2s');
  await page.getByRole('button', { name: 'Add an endpoint' }).click();
  const last = page.locator('[data-testid=edit-endpoints] li').last();
  await last.locator('input').nth(0).fill('uplink');
  await last.locator('input').nth(1).fill('198.51.100.7');
  await last.locator('input').nth(2).fill('site:alpha');
  await page.getByRole('button', { name: 'Review' }).click();
  await page.waitForSelector('[data-testid=review]');
}

async function reviewWarned(page) {
  await page.fill('textarea', '{ "exclude": [{ "between": ["agent:alpha-9", "site:beta"] }] }');
  await page.getByRole('button', { name: 'Review' }).click();
  await page.waitForSelector('[data-testid=warnings]');
}

async function conflict(page) {
  await page.fill('[name="probe.interval"]', '2s');
  await page.route(
    '**/api/v1/config?**',
    problem(412, 'changed_meanwhile', 'Version 9 is in force.'),
  );
  await page.route('**/api/v1/config', async (route) => {
    const shown = await (await route.fetch()).json();
    const config = { ...shown.config, window: '30s', exclude: [] };
    const theirs = { version: shown.version + 1, made_by: 'dave', why: 'fewer rows', config };
    await route.fulfill({ json: { ...shown, ...theirs, made_by_kind: 'user' } });
  });
  await page.getByRole('button', { name: 'Review' }).click();
  await page.waitForSelector('[data-testid=conflict]');
}
