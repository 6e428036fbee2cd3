// The page of the configuration against a real aggregator and two real agents: changing it as a form and as text, what is wrong, what
// somebody else did meanwhile, who runs it, and going back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Agent } from './harness/agent.mjs';
import { Aggregator, freePort } from './harness/aggregator.mjs';
import { logIn, openBrowser } from './harness/browser.mjs';
import { needs } from './harness/components.mjs';
import { temporaryDirectory } from './harness/programs.mjs';
import { until } from './harness/wait.mjs';

const machine = needs('chromium');
const NAMES = ['one', 'two'];
const RUNS_WITHIN_MS = 20_000;

let aggregator;
let agents = [];
let browser;
let page;

before(async () => {
  if (machine.skip) return;
  const directory = temporaryDirectory('config-page');
  aggregator = new Aggregator({ directory, address: '127.0.0.1', port: await freePort('127.0.0.1') });
  await aggregator.start();
  const token = aggregator.joinToken(NAMES.length);
  agents = NAMES.map((name, at) => new Agent({ directory, name, site: `site-${name}`, address: `127.0.3.${at + 1}` }));
  for (const agent of agents) agent.joinOk(token);
  await Promise.all(agents.map((agent) => agent.start()));
  await until('both agents are known', 30_000, async () => (await aggregator.get('/api/v1/agents')).agents.length === 2);
  browser = await openBrowser();
  page = await logIn(browser, aggregator.url, '/config', aggregator.password);
  page.setDefaultTimeout(15_000);
});
after(async () => {
  await browser?.close();
  for (const agent of agents) await agent.stop();
  await aggregator?.daemon.stop();
});

const press = (name) => page.getByRole('button', { name, exact: true }).click();
const text = (testid) => page.locator(`[data-testid=${testid}]`).innerText();
const inForce = () => aggregator.get('/api/v1/config');

/** Waits until the page itself says that all agents run it. */
async function allRun(version) {
  await page.getByText(`All 2 agents run version ${version}`).waitFor({ timeout: RUNS_WITHIN_MS });
  assert.equal((await aggregator.get('/api/v1/config/agents')).current, 2);
}

async function review() {
  await press('Review');
  await page.waitForSelector('[data-testid=review]');
}

/** What another operator does with a terminal, while the page is open. */
async function changeElsewhere(version, config) {
  const response = await fetch(`${aggregator.url}/api/v1/config`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${aggregator.apiToken}`, 'content-type': 'application/json', 'if-match': `"${version}"` },
    body: JSON.stringify({ config, why: 'from a terminal' }),
  });
  assert.equal(response.status, 200, await response.text());
}

test('what is wrong is said at its fields at once, and mending it leads to a version that all agents run', machine, async () => {
  await page.getByText('Nothing was set yet').waitFor();
  await page.getByRole('link', { name: 'Change', exact: true }).click();
  await page.fill('[name="probe.interval"]', '2s');
  await page.fill('[name="probe.timeout"]', '10s');
  await press('Add an endpoint');
  await page.fill('[name="endpoints[0].name"]', 'uplink');
  await page.fill('[name="endpoints[0].address"]', '127.0.0.1');
  await press('Review');
  await page.waitForSelector('[data-testid=faults]');
  const wrong = await page.locator('[aria-invalid=true]').evaluateAll((all) => all.map((one) => one.name));
  assert.deepEqual(wrong, ['probe.timeout', 'endpoints[0].address']);
  assert.equal((await inForce()).version, 0, 'nothing was changed');
  await page.fill('[name="probe.timeout"]', '1s');
  await page.fill('[name="endpoints[0].address"]', '192.0.2.1');
  assert.equal(await page.locator('[data-testid=faults]').count(), 0, 'what was changed is not called wrong any more');
  await review();
  assert.match(await text('changes'), /Endpoint uplink[\s\S]*192\.0\.2\.1[\s\S]*5\ss[\s\S]*2\ss/);
  assert.match(await text('cost'), /Packets a second\s+0\.4\s+2\b/);
  await page.fill('[name=why]', 'watch the uplink');
  await press('Make it version 1');
  await page.getByText('Version 1 is in force', { exact: true }).waitFor();
  await allRun(1);
  const { config, why } = await inForce();
  assert.equal(why, 'watch the uplink');
  assert.deepEqual(config.endpoints, [{ name: 'uplink', address: '192.0.2.1', observers: [] }]);
});

test('the endpoint is no silent agent, and has no way back', machine, async () => {
  await page.goto(`${aggregator.url}/agents`);
  const row = page.locator('[data-testid=agents] tr', { hasText: 'uplink' });
  await row.waitFor();
  assert.match(await row.innerText(), /endpoint[\s\S]*measures nothing/);
  assert.doesNotMatch(await row.innerText(), /silent|never/);
  await page.goto(`${aggregator.url}/pairs/one/uplink`);
  await page.waitForSelector('[data-testid=history]');
  assert.equal(await page.locator('[data-testid=history] section').count(), 1);
  await page.goto(`${aggregator.url}/pairs/uplink/one`);
  await page.getByText('uplink measures nothing').waitFor();
});

test('what somebody else changed meanwhile is shown, and mine can be kept', machine, async () => {
  await page.goto(`${aggregator.url}/config/edit`);
  await page.fill('[name="probe.interval"]', '3s');
  const { config } = await inForce();
  await changeElsewhere(1, { ...config, window: '30s' });
  await press('Review');
  await page.waitForSelector('[data-testid=conflict]');
  assert.match(await text('conflict'), /from a terminal[\s\S]*Summed up every[\s\S]*10\ss[\s\S]*30\ss/);
  await press('Go on with mine');
  await page.waitForSelector('[data-testid=review]');
  assert.match(await text('changes'), /30\ss[\s\S]*10\ss/, 'what they changed is undone, and said');
  await press('Make it version 3');
  await allRun(3);
  assert.equal((await inForce()).config.probe.interval, '3s');
});

test('as text: another form is named with its line, and what is sent is what was typed', machine, async () => {
  await page.goto(`${aggregator.url}/config/edit?as=text`);
  const area = page.locator('textarea');
  await area.waitFor();
  const was = await area.inputValue();
  await area.fill(was.replace('"interval"', '"intervall"'));
  await press('Review');
  await page.waitForSelector('[data-testid=faults]');
  assert.match(await text('faults'), /Line 3, probe\.intervall/);
  const config = JSON.parse(was);
  config.agents = [{ agent: 'one', tags: ['first'] }];
  await area.fill(JSON.stringify(config));
  await review();
  assert.match(await text('changes'), /Agent one[\s\S]*Tags[\s\S]*first/);
  await press('Make it version 4');
  await allRun(4);
  await page.goto(`${aggregator.url}/agents?tag=first`);
  await page.locator('[data-testid=agents] tbody a', { hasText: 'one' }).first().waitFor();
  assert.equal(await page.locator('[data-testid=agents] tbody tr').count(), 1);
});

test('going back is reviewed, and is a new version', machine, async () => {
  await page.goto(`${aggregator.url}/config`);
  await page.locator('[data-testid=versions]').getByRole('link', { name: '1', exact: true }).click();
  await page.getByText('watch the uplink').waitFor();
  await press('Roll back to this');
  await page.waitForSelector('[data-testid=review]');
  assert.match(await text('changes'), /Agent one[\s\S]*A probe every[\s\S]*3\ss[\s\S]*2\ss/);
  await page.fill('[name=why]', 'it was better');
  await press('Roll back');
  await page.getByText('Version 5 is in force', { exact: true }).waitFor();
  await allRun(5);
  const { copy_of: copyOf, why } = await inForce();
  assert.deepEqual([copyOf, why], [1, 'it was better']);
});
