// What each page is for, done in a browser against a real mesh: eight agents run, the ninth comes by the page, and two people use it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { logIn, openBrowser } from './harness/browser.mjs';
import { needs } from './harness/components.mjs';
import { HOSTS } from './harness/lab.mjs';
import { startMesh, stopMesh } from './harness/mesh.mjs';
import { until } from './harness/wait.mjs';

const machine = needs('namespaces', 'chromium');
const LATE = HOSTS.at(-1);
const MEASURED_WITHIN_MS = 60_000;

let mesh;
let browser;
/** Of the admin. */
let page;

before(async () => {
  if (machine.skip) return;
  // Mail to this host is meant here.
  process.env.EVERYPATH_AGGREGATOR_ALERTS__ALLOW_NETWORKS = '127.0.0.0/8';
  mesh = await startMesh('pages', { late: [LATE] });
  await mesh.aggregator.matrixUntil('56 pairs are measured', MEASURED_WITHIN_MS, (now) => now.measured.length === 56);
  browser = await openBrowser();
  page = await logIn(browser, mesh.aggregator.url, '/', mesh.aggregator.password);
  // Whatever goes wrong in a page is a failure of the test that looked at it.
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (line) => line.type() === 'error' && faults.push(line.text()));
});
after(async () => {
  await browser?.close();
  await stopMesh(mesh);
});

const faults = [];
const at = (path) => page.goto(mesh.aggregator.url + path);
const part = (name) => page.getByTestId(name);
const press = (name, within = page) => within.getByRole('button', { name, exact: true }).click();
const textOf = (locator) => locator.innerText({ timeout: 10_000 });

/** One task. A refused request is logged by the browser itself and is no fault of the page. */
function task(name, run) {
  test(name, machine, async () => {
    faults.length = 0;
    await run();
    assert.deepEqual(
      faults.filter((fault) => !fault.startsWith('Failed to load resource')),
      [],
    );
  });
}

task('Overview: how the mesh is, and a way to what is in it', async () => {
  await at('/');
  await part('now').waitFor();
  await until('it counts the paths', 20_000, async () => /56/.test(await textOf(part('now'))));
});

task('Agents, an agent, a pair: from the list to its paths to the history of one', async () => {
  await at('/agents');
  await part('agents').locator('tbody a').first().waitFor();
  await page.getByRole('searchbox').first().fill('beta-2');
  const only = part('agents').locator('tbody tr');
  await until('one is left', 5_000, async () => (await only.count()) === 1);
  await until('what is looked for is in the address', 5_000, () => page.url().includes('beta-2'));
  await only.locator('a').first().click();
  await page.waitForURL('**/agents/beta-2*');
  await part('peers').locator('tbody a').first().click();
  await page.waitForURL('**/pairs/**');
  await part('history').locator('canvas').first().waitFor({ timeout: 60_000 });
  assert.ok((await part('history').locator('canvas').count()) > 1, 'both directions are drawn');
});

task('The heading stands at the same height on every page, with buttons beside it or without', async () => {
  const tops = [];
  for (const path of ['/', '/agents', '/channels', '/config', '/system', '/account']) {
    await at(path);
    tops.push((await page.locator('main h1').boundingBox()).y);
  }
  assert.equal(new Set(tops).size, 1, tops.join(', '));
});

task('Matrix: a cell by keyboard says what it is', async () => {
  await at('/matrix');
  const matrix = part('matrix');
  await matrix.waitFor();
  await matrix.focus();
  for (const key of ['Home', 'ArrowRight', 'ArrowDown', 'ArrowRight']) await page.keyboard.press(key);
  await until('the cell is read out', 10_000, async () => /alpha-1|alpha-2/.test(await textOf(part('spoken'))));
});

task('Add agents: a token, one line to copy, and the agent appears', async () => {
  await at('/join');
  await part('join').locator('[type=submit]').click();
  const line = await textOf(part('command'));
  const token = /mesh-agent join (\S+)/.exec(line)?.[1];
  assert.ok(token, line);
  const late = mesh.agents.find(({ name }) => name === LATE);
  late.joinOk(token);
  await late.start();
  await part('arrivals').getByText(LATE).waitFor({ timeout: 30_000 });
  await mesh.aggregator.matrixUntil('all 72 pairs are measured', MEASURED_WITHIN_MS, (now) => now.measured.length === 72);
});

task('Users and tokens: somebody is invited, chooses a password by the link, and sees what a viewer may', async () => {
  await at('/users');
  await press('Invite somebody');
  await part('invite').locator('[name=name]').fill('vera');
  await part('invite').locator('[type=submit]').click();
  const link = /https?:\/\/\S+/.exec(await textOf(part('once')))?.[0];
  assert.ok(link, 'a link is shown');
  await press('Copy', part('invite'));
  await press('Done', part('invite'));
  await part('user-table').getByText('vera').waitFor();
  const other = await openBrowser();
  const theirs = other.pages()[0] ?? (await other.newPage());
  // The link names the address that agents know; the browser of this test is on the aggregator's host.
  await theirs.goto(mesh.aggregator.url + link.slice(link.indexOf('/', 'https://'.length)));
  await theirs.fill('#password', 'a long enough password 7');
  await theirs.fill('#again', 'a long enough password 7');
  await theirs.click('button[type=submit]');
  await theirs.getByTestId('now').waitFor({ timeout: 20_000 });
  await theirs.goto(`${mesh.aggregator.url}/users`);
  await theirs.getByTestId('no-permission').waitFor();
  await other.close();
});

task('Tokens: one is made for a program, which reads the matrix with it', async () => {
  await at('/users');
  await press('Make a token');
  await part('new-token').locator('[name=name]').fill('grafana');
  await part('new-token').locator('[type=submit]').click();
  const secret = (await textOf(part('once'))).split(/\s/).find((word) => word.length > 20);
  assert.ok(secret, await textOf(part('once')));
  const answer = await fetch(`${mesh.aggregator.url}/api/v1/matrix`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal(answer.status, 200);
  await press('Copy', part('new-token'));
  await press('Done', part('new-token'));
  await part('token-table').getByText('grafana').waitFor();
});

task('Tokens: one is revoked, and the program is out; so is a token for agents that nobody needs any more', async () => {
  const isIn = (secret) =>
    fetch(`${mesh.aggregator.url}/api/v1/matrix`, { headers: { authorization: `Bearer ${secret}` } }).then(({ ok }) => ok);
  await at('/users');
  await press('Make a token');
  await part('new-token').locator('[name=name]').fill('leaver');
  await part('new-token').locator('[type=submit]').click();
  const secret = (await textOf(part('once'))).split(/\s/).find((word) => word.length > 20);
  await press('Copy', part('new-token'));
  await press('Done', part('new-token'));
  assert.ok(await isIn(secret));
  await press('Revoke leaver');
  await press('Revoke it', page.getByRole('dialog'));
  await until('it is not in the list', 10_000, async () => !(await textOf(part('token-table'))).includes('leaver'));
  assert.ok(!(await isIn(secret)), 'what was revoked opens nothing');

  await at('/join');
  const rows = part('join-tokens').locator('tbody tr');
  await part('join-tokens').getByText('Open', { exact: true }).first().waitFor();
  const before = await rows.count();
  await page
    .getByRole('button', { name: /^Revoke the token/ })
    .first()
    .click();
  await press('Revoke it', page.getByRole('dialog'));
  await until('one less is in the list', 10_000, async () => (await rows.count()) === before - 1);
});

task('Your account: a wrong password is said at its field, a new one signs everybody else out', async () => {
  const password = 'another long password 9';
  const other = await openBrowser();
  const theirs = await logIn(other, mesh.aggregator.url, '/account', mesh.aggregator.password);
  await theirs.getByTestId('password').waitFor();
  await at('/account');
  const change = async (old, fresh) => {
    for (const [name, value] of Object.entries({ old, new: fresh, again: fresh })) await page.fill(`[name=${name}]`, value);
    await press('Change the password');
  };
  await change('not the password', password);
  await page.locator('[name=old][aria-invalid=true]').waitFor();
  await change(mesh.aggregator.password, password);
  await until('it is said to be done', 10_000, async () => (await page.locator('[name=old]').inputValue()) === '');
  await theirs.goto(`${mesh.aggregator.url}/agents`);
  await theirs.locator('#password').waitFor({ timeout: 20_000 });
  await other.close();
  await change(password, mesh.aggregator.password);
  await until('the old one holds again', 10_000, async () => (await page.locator('[name=old]').inputValue()) === '');
});

task('Audit log: who did what is there', async () => {
  await at('/audit');
  await part('entry').first().waitFor();
  const said = await textOf(page.locator('main'));
  assert.match(said, /vera/);
  assert.match(said, /grafana/);
});

task('Reports: the last day, and the same as a table for other programs', async () => {
  // Reports are made of minutes that are over and summed up.
  await until(
    'the first minutes are summed up',
    180_000,
    async () => {
      await at('/reports?period=24h');
      await part('summary').waitFor();
      return (await part('report-pairs').locator('tbody a').count()) > 0;
    },
    5_000,
  );
  // A mesh that is minutes old has nothing to say of a month.
  await at('/reports');
  await page.waitForURL(/[?]period=24h$/);
  await part('summary').waitFor();
  const link = await page.getByRole('link', { name: /CSV/ }).first().getAttribute('href');
  const csv = await page.evaluate(async (path) => (await fetch(path)).text(), link);
  assert.match(csv, /alpha-1/);
});

task('Reports by mail: none without a channel; one is made, and sending it says what the mail server did', async () => {
  await at('/reports?mail=new');
  await part('schedule-form').getByText('there is none yet').waitFor();
  const status = await page.evaluate(async () => {
    // Nobody listens there.
    const settings = { host: '127.0.0.1', port: 9, security: 'none', from: 'everypath@example.org', to: ['ops@example.org'] };
    const body = { name: 'post', enabled: false, repeat_s: 0, target: { kind: 'mail', password: null, settings } };
    const headers = { 'Content-Type': 'application/json', 'X-Everypath-Request': '1' };
    return (await fetch('/api/v1/channels', { method: 'POST', headers, body: JSON.stringify(body) })).status;
  });
  assert.equal(status, 201);
  await at('/reports?mail=new');
  const form = part('schedule-form');
  await form.locator('[type=submit]').click();
  await form.locator('[name=name][aria-invalid=true]').waitFor();
  await form.locator('[name=name]').fill('For the board');
  await form.locator('[type=submit]').click();
  await part('schedules').getByText('For the board').waitFor();
  await press('Send now: For the board');
  const told = page.getByText(/^For the board could not be sent\. \S+/);
  await told.waitFor({ timeout: 40_000 });
  assert.match(await textOf(told), /connect|refused|reached/i);
  await press('Delete For the board');
  await press('Delete the report', page.getByRole('dialog'));
  await until('it is gone', 10_000, async () => !(await textOf(part('schedules'))).includes('For the board'));
});

task('System: what runs, and how long things are kept', async () => {
  await at('/system');
  await part('retention').locator('dl').waitFor();
  const told = await page.evaluate(async () => (await fetch('/api/v1/system')).json());
  const status = await textOf(part('status'));
  assert.ok(status.includes(told.version), status);
  const database = await textOf(part('database'));
  assert.match(database, /SQLite/);
  assert.match(database, /9 of 9/, 'all agents were heard from');
  await part('replicas').getByText('the jobs').first().waitFor();
});

task('API: a request is looked up and sent from its page', async () => {
  await at('/docs/api?op=agents_list');
  await press('Send', part('operation'));
  await part('answered').waitFor();
  assert.match(await textOf(part('answered')), /alpha-1/);
});
