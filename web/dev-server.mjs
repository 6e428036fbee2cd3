/**
 * Serves dist/ with a made-up mesh behind it, for looking at the page and testing it without an aggregator.
 * Loopback only; sign in as admin / everypath.
 *
 *   node dev-server.mjs [--port 0] [--agents 9] [--healthy] [--still] [--silent-after SECONDS]
 */
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { FakeMesh } from './dev/fake-mesh.mjs';
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
const COOKIE = 'everypath_session=fake';
const PATCH = 1;
const HEARTBEAT = 2;
/** The same policy as the aggregator's, so that what breaks under it breaks here first. */
const POLICY =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const mesh = new FakeMesh(Number(options.agents));
if (!options.healthy) mesh.breakSome();
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
  'GET /api/v1/session': (request, response) =>
    json(response, 200, { name: 'admin', role: 'admin' }),
  'DELETE /api/v1/session': (request, response) => {
    response.writeHead(204, { 'Set-Cookie': `${COOKIE}; Max-Age=0; Path=/` }).end();
  },
  'GET /api/v1/agents': (request, response) =>
    json(response, 200, { generation: Number(mesh.generation), agents: mesh.agents }),
  'GET /api/v1/matrix': (request, response) => {
    const head = { 'Content-Type': 'application/vnd.everypath.matrix', 'Content-Encoding': 'gzip' };
    response.writeHead(200, head).end(gzipSync(mesh.snapshot(), { level: 1 }));
  },
  'POST /api/v1/join-tokens': (request, response) => {
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    json(response, 201, {
      token: `ep1.${'exampletoken'.repeat(8)}`,
      uses: 10,
      expires_at: expires,
    });
  },
};

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const key = `${request.method} ${pathname}`;
  if (!pathname.startsWith('/api/')) return file(pathname, response);
  if (key === 'POST /api/v1/session') return signIn(request, response);
  if (key === 'POST /api/v1/invitations/redeem') return redeem(request, response);
  if (!isSignedIn(request))
    return problem(response, 401, 'not_signed_in', 'You are not signed in.');
  const route = ROUTES[key];
  return route ? route(request, response) : problem(response, 404, 'not_found', 'No such route.');
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

async function signIn(request, response) {
  let text = '';
  for await (const chunk of request) text += chunk;
  const { name, password } = JSON.parse(text);
  if (name !== 'admin' || password !== 'everypath') {
    return problem(response, 401, 'wrong_credentials', 'The name or the password is wrong.');
  }
  response.setHeader('Set-Cookie', `${COOKIE}; HttpOnly; SameSite=Lax; Path=/`);
  return json(response, 200, { name, role: 'admin' });
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
  return request.headers.cookie?.includes(COOKIE) ?? false;
}

function json(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

function problem(response, status, code, detail) {
  const head = { 'Content-Type': 'application/problem+json' };
  const body = { type: 'about:blank', title: code, status, code, detail, instance: '' };
  response.writeHead(status, head).end(JSON.stringify(body));
}

function file(pathname, response) {
  const asked = join(DIST, normalize(pathname));
  const isAsset = extname(pathname) !== '';
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
