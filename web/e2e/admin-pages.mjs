/** The pages about people, the log, reports, the system and the API, and each state of them that looks different. */

import { noSocket, problem, session, silence } from './answers.mjs';

const refused = problem(403, 'not_allowed', 'Your role may not see this.');
const busy = problem(503, 'busy', 'The database does not answer.');
const never = () => undefined;
const at = (pattern, answer) => (page) => page.route(pattern, answer);

/** What was shown stays, marked, when the next answer fails. */
const fails = (pattern, button) => async (page) => {
  await page.route(pattern, busy);
  await page.clock.runFor(70_000);
  await page.waitForSelector(button);
};

export function adminPagesOf([first]) {
  const report = '[data-testid=report-pairs] tbody a';
  return {
    users: { path: '/users', ready: '[data-testid=user-table] tbody a' },
    'users-manage': { path: '/users?user=ada', ready: '[data-testid=manage-user]' },
    'users-manage-self': { path: '/users?user=admin', ready: '[data-testid=manage-user]' },
    'users-meanwhile': {
      path: '/users?user=erin',
      ready: '[data-testid=manage-user]',
      act: async (page) => {
        await page.selectOption('[name=role]', 'admin');
        await page.click('[data-testid=manage-user] [type=submit]');
        await page.waitForSelector('[role=alert]');
      },
    },
    'users-delete': {
      path: '/users?user=dave',
      ready: '[data-testid=manage-user]',
      act: press('Delete', 'dialog[aria-describedby]'),
    },
    'users-invite': {
      path: '/users',
      ready: '[data-testid=user-table]',
      act: press('Invite somebody', '[data-testid=invite]'),
    },
    'users-invited': { path: '/users', ready: '[data-testid=user-table]', act: invite },
    'users-taken': { path: '/users', ready: '[data-testid=user-table]', act: inviteTaken },
    'users-token': {
      path: '/users',
      ready: '[data-testid=token-table]',
      act: press('Make a token', '[data-testid=new-token]'),
    },
    'users-token-made': { path: '/users', ready: '[data-testid=token-table]', act: makeApiToken },
    'users-loading': {
      path: '/users',
      prepare: at('**/api/v1/users', never),
      ready: '[role=status] .bar',
    },
    'users-failed': { path: '/users', prepare: at('**/api/v1/users', busy), ready: '.notice' },
    'users-old': {
      path: '/users',
      prepare: (page) => page.clock.install(),
      ready: '[data-testid=user-table]',
      act: fails('**/api/v1/users', '[data-testid=old]'),
    },
    'users-none': {
      path: '/users',
      prepare: at('**/api/v1/api-tokens', (route) => route.fulfill({ json: { tokens: [] } })),
      ready: '[data-testid=token-table]',
    },
    'users-no-permission': {
      path: '/users',
      prepare: session('operator'),
      ready: '[data-testid=no-permission]',
    },
    account: { path: '/account', ready: '[data-testid=password]' },
    'account-wrong': { path: '/account', ready: '[data-testid=password]', act: wrongPassword },
    audit: { path: '/audit', ready: '[data-testid=entry]' },
    'audit-open': {
      path: '/audit?action=setting',
      ready: '[data-testid=entry]',
      act: (page) => page.locator('[data-testid=entry] summary').first().click(),
    },
    'audit-none': { path: '/audit?actor=nobody&period=7d', ready: '.empty' },
    'audit-custom': {
      path: '/audit?period=custom&from=2026-01-09&to=2026-01-02',
      ready: '[data-testid=audit] .fault',
    },
    'audit-failed': { path: '/audit', prepare: at('**/api/v1/audit?**', busy), ready: '.notice' },
    'audit-forbidden': {
      path: '/audit',
      prepare: at('**/api/v1/audit?**', refused),
      ready: '.notice',
    },
    reports: { path: '/reports', ready: report },
    'reports-young': { path: '/reports?period=30d', ready: report },
    'reports-filtered': { path: `/reports?period=24h&agent=${first}`, ready: report },
    'reports-custom': {
      path: '/reports?period=custom&from=2026-09-01&to=2026-09-30&pairs=100',
      ready: report,
    },
    'reports-impossible': {
      path: '/reports?period=custom&from=2020-01-01&to=2026-01-02',
      ready: '.notice',
    },
    'reports-print': { path: '/reports', ready: report, act: asPrinted },
    'reports-empty': {
      path: '/reports',
      prepare: at('**/availability?**', nothingMeasured),
      ready: '[data-testid=summary] .empty',
    },
    'reports-loading': {
      path: '/reports',
      prepare: at('**/availability?**', never),
      ready: '[role=status] .bar',
    },
    'reports-busy': {
      path: '/reports',
      prepare: at(
        '**/availability?**',
        problem(503, 'busy', 'Two reports are being made already.'),
      ),
      ready: '.notice',
    },
    'reports-mail': {
      path: '/reports?mail=1',
      prepare: mailChannel,
      ready: '[data-testid=schedule-form] form',
    },
    'reports-no-channel': {
      path: '/reports?mail=new',
      prepare: at('**/api/v1/channels', (route) => route.fulfill({ json: { channels: [] } })),
      ready: '[data-testid=schedule-form] p',
    },
    'reports-bottom': { path: '/reports', ready: '[data-testid=schedules] tbody a', act: bottom },
    'reports-viewer': { path: '/reports', prepare: session('viewer'), ready: report },
    'reports-operator': {
      path: '/reports',
      prepare: session('operator'),
      ready: '[data-testid=schedules] table',
      act: bottom,
    },
    'reports-incidents': {
      path: '/reports',
      ready: '[data-testid=report-incidents] tbody a',
      act: (page) => page.locator('[data-testid=report-incidents]').scrollIntoViewIfNeeded(),
    },
    system: { path: '/system', ready: '[data-testid=replicas] table' },
    'system-bad': { path: '/system', prepare: allWrong, ready: '[data-testid=warnings]' },
    'system-away': {
      path: '/system',
      prepare: at('**/api/v1/system', busy),
      ready: '.notice',
    },
    'system-viewer': {
      path: '/system',
      prepare: session('viewer'),
      ready: '[data-testid=retention] dl',
    },
    'system-edit': { path: '/system', ready: '[data-testid=retention] dl', act: shorten },
    'system-ill': {
      path: '/system',
      prepare: (page) => page.route('**/{healthz,readyz}', busy),
      ready: '[data-testid=retention] dl',
    },
    'system-fetched': { path: '/system', prepare: noSocket, ready: '[data-testid=stale]' },
    'system-stale': { path: '/system', prepare: silence, ready: '[data-testid=stale]' },
    api: { path: '/docs/api', ready: '[data-testid=operations] a' },
    'api-report': { path: '/docs/api?op=availability_report', ready: '[data-testid=operation]' },
    'api-sent': { path: '/docs/api?op=agents_list', ready: '[data-testid=operation]', act: sendIt },
    'api-change': {
      path: '/docs/api?op=user_create',
      ready: '[data-testid=operation]',
      act: askIt,
    },
    'api-binary': { path: '/docs/api?op=ingest', ready: '[data-testid=operation]' },
    'api-failed': {
      path: '/docs/api',
      prepare: at('**/openapi.json', busy),
      ready: '.notice',
    },
  };
}

function press(name, then) {
  return async (page) => {
    await page.getByRole('button', { name, exact: true }).first().click();
    await page.waitForSelector(then);
  };
}

async function invite(page) {
  await press('Invite somebody', '[data-testid=invite]')(page);
  await page.fill('[name=name]', `new-${Date.now()}`);
  await page.selectOption('[name=role]', 'operator');
  await page.click('[data-testid=invite] [type=submit]');
  await page.waitForSelector('[data-testid=once]');
  await page.keyboard.press('Escape');
  await page.waitForSelector('[role=alert]');
}

async function inviteTaken(page) {
  await press('Invite somebody', '[data-testid=invite]')(page);
  await page.fill('[name=name]', 'admin');
  await page.click('[data-testid=invite] [type=submit]');
  await page.waitForSelector('[aria-invalid=true]');
}

async function makeApiToken(page) {
  await press('Make a token', '[data-testid=new-token]')(page);
  await page.fill('[name=name]', `program-${Date.now()}`);
  await page.click('[data-testid=new-token] [type=submit]');
  await page.waitForSelector('[data-testid=once]');
}

async function wrongPassword(page) {
  for (const name of ['old', 'new', 'again']) await page.fill(`[name=${name}]`, 'not the password');
  await page.click('[data-testid=password] [type=submit]');
  await page.waitForSelector('[aria-invalid=true]');
}

/** Nothing may be left of the navigation, and everything must fit the width of A4 between its margins. */
async function asPrinted(page) {
  await page.emulateMedia({ media: 'print' });
  await page.setViewportSize({ width: 688, height: 1_000 });
}

async function mailChannel(page) {
  const target = { kind: 'mail', host: 'mail.example.org', to: ['noc@example.org'] };
  const channels = [{ id: 2, name: 'Operations mail', enabled: true, target }];
  await page.route('**/api/v1/channels', (route) => route.fulfill({ json: { channels } }));
}

async function bottom(page) {
  await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
}

/** Everything at once that can be wrong with an aggregator that answers. */
async function allWrong(page) {
  await page.route('**/api/v1/system', async (route) => {
    const told = await (await route.fetch()).json();
    await route.fulfill({
      json: {
        ...told,
        draining: true,
        database: { ...told.database, rung: 'sqlite', shared: false },
        replicas: told.replicas.map((one) => ({ ...one, is_leader: false })).slice(1),
        unled_s: 190,
        ingest: { ...told.ingest, unsummed_s: 4_000 },
        agents: { ...told.agents, fresh: 0, stale: 7, never_seen: 2 },
        clock: { doubted: true, why: 'It jumped by 3 h since the last deleting.' },
        update: { checked_at: null, newest: null, available: false, problem: 'No answer.' },
      },
    });
  });
}

async function nothingMeasured(route) {
  const answer = await route.fetch();
  const none = { up_s: 0, down_s: 0, unknown_s: 0 };
  const shares = { availability_percent: null, coverage_percent: 0 };
  const report = await answer.json();
  const without = (line) => ({ ...line, ...none, ...shares, pairs: 0 });
  await route.fulfill({
    json: {
      ...report,
      mesh: { ...none, ...shares },
      sites: report.sites.map(without),
      agents: report.agents.map(without),
      pairs: [],
      pairs_measured: 0,
    },
  });
}

async function shorten(page) {
  await press('Change', '[name=samples_s]')(page);
  await page.fill('[name=samples_s]', '2');
  await page.fill('[name=days_s]', '9');
  await page.click('[data-testid=retention] [type=submit]');
  await page.waitForSelector('[aria-invalid=true]');
}

async function sendIt(page) {
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.waitForSelector('[data-testid=answered]');
}

async function askIt(page) {
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.waitForSelector('dialog[open]');
}
