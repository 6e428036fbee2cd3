// HTTP from inside a network namespace: this process cannot enter one, but a child can.
import { run } from './programs.mjs';

const CHILD = `
  const [url, token] = process.argv.slice(1);
  const headers = token ? { authorization: 'Bearer ' + token } : {};
  fetch(url, { headers, signal: AbortSignal.timeout(5000) })
    .then(async (response) => process.stdout.write(JSON.stringify({ status: response.status, text: await response.text() })))
    .catch((error) => { console.error(String(error.cause ?? error)); process.exit(1); });
`;

/** Answers like fetch, as far as the harness needs it. */
export async function fetchInside(prefix, url, token = '') {
  const words = [...prefix, process.execPath, '-e', CHILD, url, token ?? ''];
  const result = run(words[0], words.slice(1), { timeoutMs: 15_000 });
  if (result.code !== 0) throw new Error(`GET ${url}: ${result.stderr.trim()}`);
  const { status, text } = JSON.parse(result.stdout);
  return { status, text: async () => text };
}
