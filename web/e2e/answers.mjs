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

/** A socket that opens and never says anything. */
export const silence = (page) => page.routeWebSocket('**/api/v1/live', () => undefined);
