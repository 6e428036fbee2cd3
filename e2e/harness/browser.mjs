// Chromium, driven by playwright-core out of web/node_modules.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { onExit } from './cleanup.mjs';
import { chromiumPath } from './components.mjs';
import { ROOT, temporaryDirectory } from './programs.mjs';

export async function openBrowser() {
  const { chromium } = createRequire(join(ROOT, 'web/package.json'))('playwright-core');
  // A profile of its own, and nothing that talks to anybody but the page.
  const context = await chromium.launchPersistentContext(temporaryDirectory('chromium'), {
    executablePath: chromiumPath(),
    headless: true,
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
      ...['--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
      // Pages that no server gave may otherwise open no socket to this host.
      ...(process.env.EVERYPATH_WEB_DIST ? ['--disable-features=LocalNetworkAccessChecks'] : []),
    ],
  });
  // The driver ends its browser when this process exits; a test that fails half-way must not wait for that.
  onExit(() => void context.close().catch(() => {}));
  await useOtherPages(context);
  return context;
}

/**
 * EVERYPATH_WEB_DIST names a directory of pages that were built after the program under test: they are served in place of those inside it,
 * and whatever they ask is answered by it.
 */
async function useOtherPages(context) {
  const dist = process.env.EVERYPATH_WEB_DIST;
  if (!dist) return;
  const isPage = ({ hostname, pathname }) => hostname === '127.0.0.1' && !/^\/(api\/|healthz$|readyz$|metrics$)/.test(pathname);
  await context.route(isPage, (route) => {
    const file = join(dist, new URL(route.request().url()).pathname);
    return route.fulfill({ path: existsSync(file) && extname(file) !== '' ? file : join(dist, 'index.html') });
  });
}

/** Logs in with the page's own form and opens a path of it. */
export async function logIn(context, url, path, password) {
  const page = context.pages()[0] ?? (await context.newPage());
  await page.goto(url + path);
  await page.fill('#name', 'admin');
  await page.fill('#password', password);
  await page.click('button[type=submit]');
  await page.waitForSelector('#password', { state: 'detached', timeout: 20_000 });
  return page;
}
