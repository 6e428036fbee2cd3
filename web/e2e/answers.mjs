/** Answers in the server's place, for states that a healthy server does not show. */

export const session = (role) => async (page) => {
  await page.route('**/api/v1/session', (route) =>
    route.fulfill({ json: { name: `the-${role}`, role } }),
  );
};

export const problem = (status, code, detail) => (route) =>
  route.fulfill({
    status,
    contentType: 'application/problem+json',
    body: JSON.stringify({ type: 'about:blank', title: code, status, code, detail, instance: '' }),
  });

/** The agent that is silent is gone for good, and the configuration leaves it out. */
export async function leftOut(page) {
  await page.route('**/api/v1/config', async (route) => {
    const answer = await (await route.fetch()).json();
    const told = await page.request.get(new URL('/api/v1/agents', route.request().url()).href);
    const { agents } = await told.json();
    const last = agents
      .filter(({ kind }) => kind === 'agent')
      .reduce((one, other) => (other.last_seen_at < one.last_seen_at ? other : one));
    answer.config.exclude.push({ between: [`agent:${last.name}`, 'all'] });
    await route.fulfill({ json: answer });
  });
}

/** A socket that opens and never says anything. */
export const silence = (page) => page.routeWebSocket('**/api/v1/live', () => undefined);

/** A socket that is refused, while everything else is answered. */
export const noSocket = (page) =>
  page.addInitScript(() => {
    globalThis.WebSocket = class {
      constructor() {
        setTimeout(() => this.onclose());
      }
      close() {}
    };
  });
