/**
 * Every page, and every state of it that looks different: where to go, what to wait for, and what to do before
 * (`prepare`, which may answer requests in the server's place) and after (`act`).
 */

import { adminPagesOf } from './admin-pages.mjs';
import { alertPagesOf } from './alert-pages.mjs';
import { leftOut, problem, session, silence } from './answers.mjs';
import { configPages } from './config-pages.mjs';

const series = (answer) => async (page) => {
  await page.route('**/series?**', answer);
};

/** An answer of the right shape in which nothing was measured. */
async function withoutPoints(route) {
  const answer = await route.fetch();
  await route.fulfill({ json: { ...(await answer.json()), points: [] } });
}

/** `endpoint` is undefined on a mesh without one. */
export function pagesOf([first, second, endpoint]) {
  const pair = `/pairs/${first}/${second}`;
  const drawn = '[data-testid=history] canvas';
  return {
    overview: { path: '/', ready: '[data-testid=troubles] li' },
    'overview-stale': { path: '/', prepare: silence, ready: '[data-testid=stale]' },
    'overview-forbidden': {
      path: '/',
      prepare: (page) =>
        page.route('**/api/v1/matrix', problem(403, 'not_allowed', 'Your role may not see this.')),
      ready: '[role=alert]',
    },
    'overview-left-out': { path: '/', prepare: leftOut, ready: '[data-testid=troubles] li' },
    'matrix-left-out': { path: '/matrix', prepare: leftOut, ready: '[data-testid=matrix]' },
    'agents-left-out': { path: '/agents', prepare: leftOut, ready: '[data-testid=agents] tbody a' },
    'agent-left-out': {
      path: '/agents',
      prepare: leftOut,
      ready: 'tr:has(.kind:text("left out")) a',
      act: async (page) => {
        await page.locator('tr:has(.kind:text("left out")) a').first().click();
        await page.waitForSelector('[data-testid=left-out]');
      },
    },
    'config-left-out': { path: '/config', prepare: leftOut, ready: '[data-testid=in-force]' },
    matrix: { path: '/matrix', ready: '[data-testid=matrix]' },
    list: { path: '/matrix?view=list', ready: '[data-testid=matrix-list] tr[data-state]' },
    loss: { path: '/matrix?lens=loss&sort=worst', ready: '[data-testid=matrix]' },
    rtt: { path: '/matrix?lens=rtt', ready: '[data-testid=matrix]' },
    agents: { path: '/agents', ready: '[data-testid=agents] tbody a' },
    'agents-none': { path: '/agents?q=nobody&order=seen', ready: '[data-testid=agents] td' },
    agent: { path: `/agents/${second}`, ready: '[data-testid=peers] tbody a' },
    'agent-missing': { path: '/agents/nobody', ready: '.notice' },
    'pair-hour': { path: pair, ready: drawn },
    'pair-week': { path: `${pair}?range=7d`, ready: drawn },
    'pair-table': {
      path: pair,
      ready: drawn,
      act: (page) => page.locator('summary').first().click(),
    },
    'pair-empty': { path: pair, prepare: series(withoutPoints), ready: '[data-testid=no-history]' },
    'pair-failed': {
      path: pair,
      prepare: series(problem(503, 'busy', 'The database does not answer.')),
      ready: '.notice',
    },
    'pair-loading': {
      path: pair,
      prepare: series(() => undefined),
      ready: '[role=status] .bar',
    },
    'pair-missing': { path: `/pairs/${first}/nobody`, ready: '.notice' },
    'agents-tag': { path: '/agents?tag=web', ready: '[data-testid=agents] tbody a' },
    ...(endpoint ? endpointPages(first, endpoint) : {}),
    join: { path: '/join', ready: '[data-testid=join-tokens]' },
    'join-revoke': { path: '/join', ready: '[data-testid=join-tokens]', act: revokeToken },
    'join-refused': { path: '/join', ready: '[data-testid=join]', act: refuse },
    'join-token': { path: '/join', ready: '[data-testid=join]', act: makeToken },
    'join-confirm': { path: '/join', ready: '[data-testid=join]', act: leaveToken },
    'no-permission': {
      path: '/join',
      prepare: session('viewer'),
      ready: '[data-testid=no-permission]',
    },
    missing: { path: '/nowhere', ready: '[data-testid=not-found]' },
    ...alertPagesOf([first]),
    ...configPages(),
    ...adminPagesOf([first]),
  };
}

function endpointPages(first, endpoint) {
  return {
    'agent-endpoint': { path: `/agents/${endpoint}`, ready: '[data-testid=peers] tbody a' },
    'pair-endpoint': { path: `/pairs/${first}/${endpoint}`, ready: '[data-testid=history] canvas' },
    'pair-from-endpoint': { path: `/pairs/${endpoint}/${first}`, ready: '.notice' },
    'matrix-endpoint': { path: `/matrix?pair=${first}~${endpoint}`, ready: '[data-testid=pair]' },
    'list-endpoint': {
      path: `/matrix?view=list&q=${endpoint}`,
      ready: '[data-testid=matrix-list] tr[data-state]',
    },
  };
}

async function revokeToken(page) {
  await page
    .getByRole('button', { name: /^Revoke/ })
    .first()
    .click();
  await page.waitForSelector('dialog[open]');
}

async function refuse(page) {
  await page.route('**/api/v1/join-tokens', (route) =>
    route.fulfill({
      status: 400,
      json: {
        status: 400,
        code: 'invalid_token_request',
        detail: 'The token cannot be made as it was asked for.',
        faults: [{ path: 'site', message: 'is reserved' }],
      },
    }),
  );
  await page.fill('[name=site]', 'reserved');
  await page.click('[data-testid=join] [type=submit]');
  await page.waitForSelector('[aria-invalid=true]');
}

async function makeToken(page) {
  await page.click('[data-testid=join] [type=submit]');
  await page.waitForSelector('[data-testid=command]');
  await page.getByRole('button', { name: 'Copy', exact: true }).click();
  // Agents come where the mesh is made up; on a real one nobody runs the command.
  await page
    .waitForSelector('[data-testid=arrivals] li:nth-child(2)', { timeout: 6_000 })
    .catch(() => undefined);
}

async function leaveToken(page) {
  await page.click('[data-testid=join] [type=submit]');
  await page.getByRole('button', { name: 'Make another token' }).click();
  await page.waitForSelector('dialog[open]');
}
