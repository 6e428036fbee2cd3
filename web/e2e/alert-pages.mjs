/** Incidents, rules, silences and channels, and each state of them that looks different. */

import { problem, session } from './answers.mjs';

const refused = problem(403, 'not_allowed', 'Your role may not see this.');
const busy = problem(503, 'busy', 'The database does not answer.');
const never = () => undefined;
const at = (pattern, answer) => (page) => page.route(pattern, answer);
const none = (body) => (route) => route.fulfill({ json: body });

const rule = '[data-testid=rule-table] tbody th';
const channel = '[data-testid=channel-table] tbody a';
const newChannel = (kind) => ({
  path: `/channels?new=${kind}`,
  ready: '[data-testid=channel-form]',
});

export function alertPagesOf([first]) {
  return {
    incidents: { path: '/incidents', ready: '[data-testid=over-list] li' },
    'incidents-open': { path: '/incidents?state=open', ready: '[data-testid=open] p' },
    'incidents-filtered': {
      path: `/incidents?severity=critical&agent=${first}`,
      ready: '[data-testid=over] .content',
    },
    'incidents-none': {
      path: '/incidents?class=mesh_down&site=nowhere&agent=nobody',
      ready: '[data-testid=over] .none',
    },
    'incidents-empty': {
      path: '/incidents',
      prepare: at('**/api/v1/incidents?**', none({ incidents: [], next: null })),
      ready: '[data-testid=over] .empty',
    },
    'incidents-loading': {
      path: '/incidents',
      prepare: at('**/api/v1/incidents?**', never),
      ready: '[role=status] .bar',
    },
    'incidents-failed': {
      path: '/incidents',
      prepare: at('**/api/v1/incidents?**', busy),
      ready: '.notice',
    },
    'incidents-forbidden': {
      path: '/incidents',
      prepare: at('**/api/v1/incidents?**', refused),
      ready: '.notice',
    },
    'incidents-viewer': {
      path: '/incidents',
      prepare: session('viewer'),
      ready: '[data-testid=over-list] li',
    },
    'incidents-acknowledge': {
      path: '/incidents',
      ready: '[data-testid=open-list] li',
      act: async (page) => {
        await page
          .getByRole('button', { name: /^Acknowledge/ })
          .first()
          .click();
        await page.waitForSelector('[data-testid=acknowledge]');
      },
    },
    incident: { path: '/incidents', ready: '[data-testid=open-list] li', act: openFirst },
    'incident-acknowledged': {
      path: '/incidents',
      ready: '[data-testid=open-list] li',
      act: async (page) => {
        await page.locator('[data-testid=open-list] li:has(.ack) .title a').first().click();
        await page.waitForSelector('[data-testid=acknowledged]');
      },
    },
    'incident-returned': {
      path: '/incidents',
      ready: '[data-testid=open-list] li',
      act: async (page) => {
        await page.locator('[data-testid=open-list] li:has-text("Flapping") .title a').click();
        await page.waitForSelector('[data-testid=incident]');
      },
    },
    'incident-over': {
      path: '/incidents?state=over',
      ready: '[data-testid=over-list] li',
      act: async (page) => {
        await page.locator('[data-testid=over-list] .title a').first().click();
        await page.waitForSelector('[data-testid=incident]');
      },
    },
    'incident-silence': {
      path: '/incidents',
      ready: '[data-testid=open-list] li',
      act: async (page) => {
        await openFirst(page);
        await page.getByRole('button', { name: 'Silence it' }).click();
        await page.waitForSelector('[data-testid=silence-form]');
      },
    },
    'incident-viewer': {
      path: '/incidents',
      prepare: session('viewer'),
      ready: '[data-testid=open-list] li',
      act: openFirst,
    },
    'incident-missing': { path: `/incidents/${'0'.repeat(32)}`, ready: '.notice' },
    rules: { path: '/rules', ready: rule },
    'rules-viewer': { path: '/rules', prepare: session('viewer'), ready: rule },
    'rules-none': {
      path: '/rules',
      prepare: async (page) => {
        await page.route('**/api/v1/alert-rules', none({ rules: [] }));
        await page.route('**/api/v1/silences', none({ silences: [] }));
      },
      ready: '[data-testid=rule-table] .none',
    },
    'rules-failed': {
      path: '/rules',
      prepare: at('**/api/v1/alert-rules', busy),
      ready: '.notice',
    },
    'rule-new': { path: '/rules?new=rule', ready: '[data-testid=rule-form]' },
    'rule-change': { path: '/rules?rule=4', ready: '[data-testid=rule-form]' },
    'rule-wrong': { path: '/rules?new=rule', ready: '[data-testid=rule-form]', act: wrongRule },
    'rule-scope': { path: '/rules?new=rule', ready: '[data-testid=rule-form]', act: pickScope },
    'rule-conflict': { path: '/rules?rule=2', ready: '[data-testid=rule-form]', act: changeTwice },
    'rule-delete': {
      path: '/rules?rule=3',
      ready: '[data-testid=rule-form]',
      act: async (page) => {
        await page.getByRole('button', { name: 'Delete', exact: true }).last().click();
        await page.waitForSelector('dialog[aria-describedby]');
      },
    },
    'silence-new': { path: '/rules?new=silence', ready: '[data-testid=silence-form]' },
    'silence-between': {
      path: '/rules?new=silence',
      ready: '[data-testid=silence-form]',
      act: async (page) => {
        await page.getByText('Everywhere', { exact: true }).last().click();
        await page.getByText('From … until …').click();
        await page.fill('[name=until]', '2026-01-01T00:00');
        await page.click('[data-testid=silence-form] [type=submit]');
        await page.waitForSelector('[aria-invalid=true]');
      },
    },
    channels: { path: '/channels', ready: channel },
    'channels-operator': { path: '/channels', prepare: session('operator'), ready: channel },
    'channels-no-permission': {
      path: '/channels',
      prepare: session('viewer'),
      ready: '[data-testid=no-permission]',
    },
    'channels-none': {
      path: '/channels',
      prepare: at('**/api/v1/channels', none({ channels: [] })),
      ready: '.empty',
    },
    'channels-failed': {
      path: '/channels',
      prepare: at('**/api/v1/channels', busy),
      ready: '.notice',
    },
    'channel-new': newChannel('discord'),
    'channel-new-mail': newChannel('mail'),
    'channel-new-webhook': {
      ...newChannel('webhook'),
      act: async (page) => {
        await page.getByRole('button', { name: 'Make one' }).click();
      },
    },
    'channel-wrong': {
      ...newChannel('mail'),
      act: async (page) => {
        await page.click('[data-testid=channel-form] [type=submit]');
        await page.waitForSelector('[aria-invalid=true]');
      },
    },
    channel: { path: '/channels/1', ready: '[data-testid=channel]' },
    'channel-change': { path: '/channels/2?edit=1', ready: '[data-testid=channel-form]' },
    'channel-tested': { path: '/channels/1', ready: '[data-testid=test]', act: sendTest },
    'channel-test-failed': { path: '/channels/4', ready: '[data-testid=test]', act: sendTest },
    'channel-in-use': {
      path: '/channels/2',
      ready: '[data-testid=channel]',
      act: async (page) => {
        await page.getByRole('button', { name: 'Delete', exact: true }).click();
        await page.getByRole('button', { name: 'Delete the channel' }).click();
        await page.waitForSelector('.notice[role=alert]');
      },
    },
    'channel-trouble': { path: '/channels/3', ready: '[data-testid=channel]' },
    'channel-missing': { path: '/channels/999', ready: '.notice' },
  };
}

async function openFirst(page) {
  await page.locator('[data-testid=open-list] .title a').first().click();
  await page.waitForSelector('[data-testid=incident]');
}

async function wrongRule(page) {
  await page.fill('[name="condition.above_permille"]', '2');
  await page.fill('[name="condition.below_permille"]', '5');
  await page.fill('[name=for_s]', '2000');
  await page.click('[data-testid=rule-form] [type=submit]');
  await page.waitForSelector('[aria-invalid=true]');
}

/** By keyboard alone. */
async function pickScope(page) {
  await page.getByText('From … to …').click();
  await page.getByRole('combobox', { name: 'From' }).focus();
  await page.keyboard.type('al');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('combobox', { name: 'To' }).focus();
  await page.keyboard.type('b');
  await page.waitForSelector('[role=option]');
}

async function changeTwice(page) {
  await page.evaluate(async () => {
    const { rules } = await (await fetch('/api/v1/alert-rules')).json();
    const { version, rule: body } = rules.find(({ id }) => id === 2);
    await fetch('/api/v1/alert-rules/2', {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json', 'X-Everypath-Request': '1' },
      body: JSON.stringify({ version, rule: { ...body, for_s: body.for_s + 60 } }),
    });
  });
  await page.click('[data-testid=rule-form] [type=submit]');
  await page.waitForSelector('[data-testid=conflict]');
}

async function sendTest(page) {
  await page.getByRole('button', { name: 'Send a test' }).click();
  await page.waitForSelector('[data-testid=test-result]');
}
