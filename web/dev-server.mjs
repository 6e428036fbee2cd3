/**
 * Serves dist/ with a made-up mesh behind it, for looking at the page and testing it without an aggregator.
 * Loopback only; sign in as admin, operator or viewer, each with the password everypath. A token that is made
 * brings three agents; the next sign-in undoes that, and whatever else was changed.
 *
 *   node dev-server.mjs [--port 0] [--agents 9] [--healthy] [--still] [--silent-after SECONDS]
 */
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { adminAnswer } from './dev/fake-admin.mjs';
import { FakeAlerts } from './dev/fake-alerts.mjs';
import { configAnswer, FakeConfig } from './dev/fake-config.mjs';
import { FakeMesh } from './dev/fake-mesh.mjs';
import { FakePeople } from './dev/fake-people.mjs';
import { fakeSeries } from './dev/fake-series.mjs';
import { FakeSystem, systemAnswer } from './dev/fake-system.mjs';
import { acceptSocket, sendBinary } from './dev/socket.mjs';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    agents: { type: 'string', default: '9' },
    healthy: { type: 'boolean', default: false },
    still: { type: 'boolean', default: false },
    'silent-after': { type: 'string' },
  },
});

const DIST = fileURLToPath(new URL('./dist', import.meta.url));
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};
const COOKIE = /everypath_session=(admin|operator|viewer)/;
const PATCH = 1;
const HEARTBEAT = 2;
const REFETCH = 3;
const ARRIVALS = [
  ['web-1', 'delta', 2_500],
  ['web-2', 'delta', 4_000],
  ['db-1', 'delta', 5_500],
];
/** The same policy as the aggregator's, so that what breaks under it breaks here first. */
const POLICY =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

let mesh = begin(1n);
let people = new FakePeople();
let alerts = new FakeAlerts(mesh, { isHealthy: options.healthy });
let config = new FakeConfig(mesh, options.healthy ? -1 : silentAgent());
let system = new FakeSystem();
let arriving = [];
const clients = new Set();
const silentAt = options['silent-after'] ? Date.now() + 1000 * options['silent-after'] : Infinity;

let tick = 0;
setInterval(() => {
  tick += 1;
  const changed = options.still ? new Map() : mesh.step(tick);
  if (Date.now() > silentAt || (changed.size === 0 && tick % 10 !== 0)) return;
  const frame = mesh.frame(changed.size > 0 ? PATCH : HEARTBEAT, changed);
  for (const socket of clients) sendBinary(socket, frame);
}, 100);

const ROUTES = {
  'GET /api/v1/session': (request, response) => json(response, 200, whoIs(request)),
  'DELETE /api/v1/session': (request, response) => {
    response.writeHead(204, { 'Set-Cookie': 'everypath_session=; Max-Age=0; Path=/' }).end();
  },
  'GET /api/v1/agents': (request, response) => {
    const silent = options.healthy ? -1 : silentAgent();
    json(response, 200, { generation: Number(mesh.generation), agents: mesh.listing(silent) });
  },
  'GET /api/v1/matrix': (request, response) => {
    const head = { 'Content-Type': 'application/vnd.everypath.matrix', 'Content-Encoding': 'gzip' };
    response.writeHead(200, head).end(gzipSync(mesh.snapshot(), { level: 1 }));
  },
  'POST /api/v1/join-tokens': async (request, response) => {
    if (whoIs(request).role !== 'admin')
      return problem(response, 403, 'not_allowed', 'This needs the role admin.');
    const { uses, expires_in_s: life, site } = JSON.parse(await bodyOf(request));
    // A word that the form allows and this server does not, to see what a refused field looks like.
    if (site === 'reserved') {
      const faults = [{ path: 'site', message: 'is reserved' }];
      return problem(response, 400, 'invalid_token_request', 'The token cannot be made.', faults);
    }
    const expires_at = new Date(Date.now() + 1_000 * life).toISOString();
    const id = system.addToken({ site: site ?? null, uses, expires_at }, whoIs(request).name);
    json(response, 201, { id, token: `ep1.${'exampletoken'.repeat(8)}`, uses, expires_at });
    for (const timer of arriving) clearTimeout(timer);
    const isNew = ([name]) => !mesh.agents.some((agent) => agent.name === name);
    arriving = ARRIVALS.filter(isNew).map(([name, place, after]) =>
      setTimeout(() => {
        mesh.join(name, site ?? place);
        announce();
      }, after),
    );
  },
};

function series(source, target, query, response) {
  const ends = [source, target].map((name) =>
    mesh.agents.find((agent) => agent.name === decodeURIComponent(name)),
  );
  const missing = [source, target][ends.indexOf(undefined)];
  if (missing !== undefined)
    return problem(response, 404, 'no_such_agent', `No agent is called ${missing}.`);
  const [from, to] = ends;
  return json(
    response,
    200,
    fakeSeries({
      source: from.id,
      target: to.id,
      range: query.get('range') ?? '1h',
      to: Date.parse(query.get('to') ?? '') || Date.now(),
      rtt: mesh.typicalRtt(from.index, to.index),
      salt: from.index < to.index ? 0 : 1,
    }),
  );
}

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const key = `${request.method} ${pathname}`;
  if (key === 'GET /healthz' || key === 'GET /readyz') return response.end('ok\n');
  if (!pathname.startsWith('/api/')) return file(pathname, response);
  if (key === 'POST /api/v1/session') return signIn(request, response);
  if (key === 'POST /api/v1/invitations/redeem') return redeem(request, response);
  if (!isSignedIn(request))
    return problem(response, 401, 'not_signed_in', 'You are not signed in.');
  const pair = /^GET \/api\/v1\/pairs\/([^/]+)\/([^/]+)\/series$/.exec(key);
  if (pair) return series(pair[1], pair[2], searchParams, response);
  const route = ROUTES[key];
  if (route) return route(request, response);
  const body = ['POST', 'PUT', 'PATCH'].includes(request.method)
    ? JSON.parse((await bodyOf(request)) || '{}')
    : null;
  const { headers } = request;
  const asked = { key, path: pathname, query: searchParams, headers, body, who: whoIs(request) };
  const answer =
    alerts.answer({ ...asked, mesh, schedules: system.schedules }) ??
    configAnswer({ ...asked, config }) ??
    systemAnswer({ ...asked, system, people, mesh }) ??
    (await adminAnswer({ ...asked, people, mesh }));
  if (!answer) return problem(response, 404, 'not_found', 'No such route.');
  if (answer.problem) {
    const { code, detail, faults } = answer.problem;
    return problem(response, answer.status, code, detail, faults);
  }
  return answer.body ? json(response, answer.status, answer.body) : response.writeHead(204).end();
});

server.on('upgrade', (request, socket) => {
  if (!isSignedIn(request) || Date.now() > silentAt)
    return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
  acceptSocket(request, socket);
  clients.add(socket);
  socket.on('close', () => clients.delete(socket));
});

server.listen(Number(options.port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});

/** A mesh as it is at the start, under another generation than before. */
function begin(generation) {
  const fresh = new FakeMesh(Number(options.agents), { generation });
  if (!options.healthy) fresh.breakSome();
  return fresh;
}

/** Heard from last half an hour ago. */
function silentAgent() {
  return Math.floor(Number(options.agents) / 2) - 1;
}

function announce() {
  for (const socket of clients) sendBinary(socket, mesh.frame(REFETCH));
}

async function signIn(request, response) {
  const { name, password } = JSON.parse(await bodyOf(request));
  const isKnown = ['admin', 'operator', 'viewer'].includes(name);
  if (!isKnown || password !== 'everypath') {
    return problem(response, 401, 'wrong_credentials', 'The name or the password is wrong.');
  }
  people = new FakePeople();
  system = new FakeSystem();
  for (const timer of arriving) clearTimeout(timer);
  if (mesh.agents.some(({ kind, index }) => kind === 'agent' && index >= mesh.count)) {
    mesh = begin(mesh.generation + 1n);
    announce();
  }
  alerts = new FakeAlerts(mesh, { isHealthy: options.healthy });
  config = new FakeConfig(mesh, options.healthy ? -1 : silentAgent());
  response.setHeader('Set-Cookie', `everypath_session=${name}; HttpOnly; SameSite=Lax; Path=/`);
  return json(response, 200, { name, role: name });
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

function whoIs(request) {
  const name = COOKIE.exec(request.headers.cookie ?? '')?.[1];
  return { name, role: name };
}

/** Any link is good whose secret does not begin with `x`. */
async function redeem(request, response) {
  let text = '';
  for await (const chunk of request) text += chunk;
  if (JSON.parse(text).secret.startsWith('x')) {
    return problem(response, 401, 'invalid_invitation', 'This link is not good, or no longer.');
  }
  response.setHeader('Set-Cookie', `${COOKIE}; HttpOnly; SameSite=Lax; Path=/`);
  return json(response, 200, { name: 'admin', role: 'admin' });
}

function isSignedIn(request) {
  return COOKIE.test(request.headers.cookie ?? '');
}

function json(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function problem(response, status, code, detail, faults) {
  const head = { 'Content-Type': 'application/problem+json' };
  const body = {
    type: 'about:blank',
    title: code,
    status,
    code,
    detail,
    instance: '',
    faults,
  };
  response.writeHead(status, head).end(JSON.stringify(body));
}

function file(pathname, response) {
  const asked = join(DIST, normalize(pathname));
  // Only what is under assets/ or a file is one: the name of an agent may have a dot in it, too.
  const isAsset = pathname.startsWith('/assets/') || (pathname !== '/' && existsSync(asked));
  if (isAsset && !(asked.startsWith(DIST) && existsSync(asked)))
    return response.writeHead(404).end();
  const path = isAsset ? asked : join(DIST, 'index.html');
  response.writeHead(200, {
    'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream',
    'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff',
  });
  return createReadStream(path).pipe(response);
}
