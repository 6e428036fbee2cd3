// The pages about alerts against a real aggregator, in Chromium: a channel is made and tried, a rule is made, changed by two at once
// and deleted; a host dies, and who looks at the overview sees it, takes care of it, and silences it; it mends, and is over.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { logIn, openBrowser } from './harness/browser.mjs';
import { needs } from './harness/components.mjs';
import { HOSTS } from './harness/lab.mjs';
import { startMesh, stopMesh } from './harness/mesh.mjs';
import { runOk } from './harness/programs.mjs';
import { DiscordSink } from './harness/sinks.mjs';

const machine = needs('namespaces', 'chromium');
// Found within half a minute and asked for every 15 s; a minute without it, and one that was lossy, until it is over.
const SHOWN_WITHIN_MS = 90_000;
const OVER_WITHIN_MS = 210_000;

let mesh;
let chat;
let page;

before(async () => {
  if (machine.skip) return;
  chat = await DiscordSink.start();
  process.env.EVERYPATH_AGGREGATOR_ALERTS__ALLOW_NETWORKS = '127.0.0.0/8';
  mesh = await startMesh('alert-pages');
  const { aggregator } = mesh;
  await aggregator.matrixUntil('all pairs are ok', 120_000, (now) => {
    return now.measured.length === HOSTS.length * (HOSTS.length - 1) && now.pairs('ok', 'slow').length === now.measured.length;
  });
  const context = await openBrowser();
  page = await logIn(context, aggregator.url, '/login', aggregator.password);
  page.setDefaultTimeout(15_000);
});
after(async () => {
  await page?.context().close();
  await stopMesh(mesh);
  chat?.stop();
});

const open = (path) => page.goto(mesh.aggregator.url + path);
const button = (name) => page.getByRole('button', { name, exact: true });
const wrong = () => page.locator('[aria-invalid=true]').evaluateAll((all) => all.map((one) => one.getAttribute('name')));
const says = (selector, text, timeout) => page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout });

test('a channel: everything wrong at once, then made, tried, and what it said in words', machine, async () => {
  await open('/channels?new=discord');
  await button('Make the channel').click();
  await page.waitForSelector('[aria-invalid=true]');
  assert.deepEqual(await wrong(), ['name', 'target.url']);
  await page.fill('[name=name]', 'chat');
  await page.fill('[name="target.url"]', chat.url);
  await button('Make the channel').click();
  await page.waitForURL(/\/channels\/\d+$/);
  await says('[data-testid=channel]', 'http://127.0.0.1');
  assert.ok(!(await page.content()).includes('/api/webhooks/1/token'), 'the secret is on the page');
  await button('Send a test').click();
  await says('[data-testid=test-result]', 'The test was sent');
  chat.says.push({ status: 401, body: { message: 'Invalid Webhook Token' } });
  await button('Send a test').click();
  await says('[data-testid=test-result]', 'Make a new one in Discord');
  await says('[data-testid=delivery-table]', 'Given up');
  assert.equal(await page.locator('[data-testid=delivery-table] tbody tr').count(), 2);
});

test('a channel by mail: a password of nobody is said at the user', machine, async () => {
  await open('/channels?new=mail');
  await page.fill('[name="target.password"]', 'a secret');
  await button('Make the channel').click();
  await page.waitForSelector('[aria-invalid=true]');
  assert.deepEqual(await wrong(), ['target.settings.user']);
});

test('a rule: everything wrong at once, then made, changed by two at once, and deleted', machine, async () => {
  await open('/rules?new=rule');
  await page.fill('[name="condition.above_permille"]', '2');
  await page.fill('[name="condition.below_permille"]', '5');
  await page.fill('[name=for_s]', '2000');
  await button('Make the rule').click();
  await page.waitForSelector('[aria-invalid=true]');
  assert.deepEqual(await wrong(), ['name', 'condition.below_permille', 'for_s']);
  await page.fill('[name=name]', 'Alpha to beta');
  await page.fill('[name="condition.below_permille"]', '1');
  await page.fill('[name=for_s]', '2');
  await page.getByText('From … to …').click();
  for (const [side, typed] of [
    ['From', 'site:alpha'],
    ['To', 'beta-2'],
  ]) {
    await page.getByRole('combobox', { name: side }).fill(typed);
    await page.keyboard.press('Enter');
  }
  await button('Make the rule').click();
  await says('[data-testid=rule-table] tr', 'Between site alpha and beta-2');
  await page.getByRole('link', { name: 'Alpha to beta' }).click();
  await page.waitForSelector('[data-testid=rule-form]');
  await page.evaluate(async () => {
    const { rules } = await (await fetch('/api/v1/alert-rules')).json();
    const { id, version, rule } = rules.at(-1);
    await fetch(`/api/v1/alert-rules/${id}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'x-everypath-request': '1' },
      body: JSON.stringify({ version, rule: { ...rule, for_s: 600 } }),
    });
  });
  await page.fill('[name="condition.above_permille"]', '3');
  await button('Save the rule').click();
  await says('[data-testid=conflict]', 'Loss above 2 %, for 10 min');
  await button('Go on with mine').click();
  await button('Save the rule').click();
  await page.waitForSelector('[data-testid=rule-form]', { state: 'detached' });
  await says('[data-testid=rule-table] tr', 'Loss above 3 %');
  await page.getByRole('link', { name: 'Alpha to beta' }).click();
  await button('Delete').click();
  await button('Delete the rule').click();
  await page.locator('[data-testid=rule-table] tr').filter({ hasText: 'Alpha to beta' }).waitFor({ state: 'detached' });
});

test('an incident: on the overview, acknowledged, taken back, silenced, and over', machine, async () => {
  const inHost = (...words) => {
    const [command, ...rest] = [...mesh.lab.inHost('beta-2'), ...words];
    return runOk(command, rest);
  };
  await open('/');
  await says('[data-testid=open-incidents]', 'No rule is broken');
  const chains = ['in', 'out'].map((way) => `add chain inet off ${way} { type filter hook ${way}put priority 0; policy drop; };`);
  inHost('nft', `add table inet off; ${chains.join(' ')}`);
  const began = performance.now();
  await says('[data-testid=open-incidents] li', 'beta-2', SHOWN_WITHIN_MS);
  console.log(`# on the overview after ${Math.round((performance.now() - began) / 100) / 10} s, without anybody asking`);
  assert.match(await page.locator('.side [data-testid=badge]').textContent(), /1 open incident/);
  await page.getByRole('button', { name: /^Acknowledge/ }).click();
  await page.fill('[name=note]', 'looking');
  await page.locator('[data-testid=acknowledge] [type=submit]').click();
  await says('[data-testid=open-incidents] li', 'admin takes care: “looking”');
  await page.locator('[data-testid=open-incidents] li a').click();
  await says('[data-testid=incident]', 'Critical');
  await says('[data-testid=affected] tr', 'alpha-1 → beta-2');
  await says('[data-testid=told-table] tr', 'chat');
  await says('[data-testid=facts]', 'Unreachable');
  await button('Take it back').click();
  await says('[data-testid=incident]', 'Nobody takes care of it yet');
  await button('Silence it').click();
  await page.waitForSelector('[data-testid=silence-form]');
  await button('Make the silence').click();
  await page.waitForSelector('[aria-invalid=true]');
  assert.deepEqual(await wrong(), ['reason']);
  await page.fill('[name=reason]', 'New disks');
  await button('Make the silence').click();
  await says('[data-testid=incident]', 'Silenced', 30_000);
  await open('/rules');
  await says('[data-testid=silence-table] tr', 'All about beta-2');
  await page.getByRole('button', { name: /^End now/ }).click();
  await says('[data-testid=silences] summary', 'Over in the last weeks: 1');
  inHost('nft', 'delete table inet off');
  await open('/incidents');
  await says('[data-testid=over-list] li', 'beta-2', OVER_WITHIN_MS);
  await says('[data-testid=open]', 'Nothing is open');
  await page.locator('.side [data-testid=badge]').waitFor({ state: 'detached' });
});
