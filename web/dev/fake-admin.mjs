/** What only administrators ask, and what everybody may ask about the system: routes over the made-up people. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { fakeReport } from './fake-report.mjs';
import { token, user } from './fake-people.mjs';

const DOCUMENT = fileURLToPath(new URL('../../aggregator/openapi.json', import.meta.url));
const NAME = /^[A-Za-z0-9\-_.@+]{1,64}$/;

/** Answers `{ status, body }`, or `null` for what is not a route of these. */
export async function adminAnswer({ key, path, query, body, who, people, mesh }) {
  const open = OPEN[key];
  if (open) return open({ query, body, who, people, mesh });
  const [kind, name, more] = path.replace('/api/v1/', '').split('/').map(decodeURIComponent);
  const route = CLOSED[[key.split(' ')[0], kind, name && ':name', more].filter(Boolean).join(' ')];
  if (!route) return null;
  if (who.role !== 'admin') return refuse(403, 'not_allowed', 'This needs the role admin.');
  return route({ name, query, body, who, people });
}

const MEANWHILE =
  'Somebody else gave the account another role meanwhile; nothing was done. Look at it and try again.';

const OPEN = {
  'GET /api/v1/openapi.json': async () => ok(JSON.parse(await readFile(DOCUMENT, 'utf8'))),
  'GET /api/v1/reports/availability': ({ query, mesh }) => ok(fakeReport(mesh, query, Date.now())),
  'GET /api/v1/settings/retention': ({ people }) => ok(people.retention),
  'PUT /api/v1/settings/retention': ({ body, who, people }) => {
    if (who.role !== 'admin') return refuse(403, 'not_allowed', 'This needs the role admin.');
    if (body.version !== people.retention.version)
      return refuse(409, 'changed_meanwhile', 'Somebody changed it meanwhile. Read it again.');
    people.retention = { ...body, version: body.version + 1 };
    people.did(who.name, 'setting.change', 'retention', body);
    return ok(people.retention);
  },
  'PUT /api/v1/session/password': ({ body, who, people }) => {
    if (body.old !== 'everypath')
      return refuse(401, 'wrong_credentials', 'The old password is wrong.');
    people.did(who.name, 'password.change', '');
    return { status: 204 };
  },
};

const CLOSED = {
  'GET users': ({ people }) => ok({ users: people.users }),
  'POST users': ({ body, who, people }) => {
    if (!NAME.test(body.name))
      return refuse(400, 'invalid_user', 'name: is none.', [{ path: 'name', message: 'is none' }]);
    if (find(people.users, body.name))
      return refuse(409, 'name_taken', 'There is an account of this name.');
    people.users.push(user(body.name, body.role, {}));
    people.users.sort((a, b) => a.name.localeCompare(b.name));
    people.did(who.name, 'user.create', body.name, { role: body.role });
    return { status: 201, body: people.invite(body.name, who.name) };
  },
  'PATCH users :name': ({ name, body, who, people }) => {
    const found = find(people.users, name);
    if (!found) return refuse(404, 'unknown_user', 'There is no such account.');
    const leaves = body.disabled === true || (body.role ?? 'admin') !== 'admin';
    if (leaves && people.isLastAdmin(name)) return lastAdmin();
    // Somebody else was quicker, to see what that looks like.
    if (name === 'erin' && body.role === 'admin' && found.role === 'viewer') {
      found.role = 'operator';
      return refuse(409, 'changed_meanwhile', MEANWHILE);
    }
    Object.assign(found, body);
    people.did(who.name, 'user.change', name, { role: null, disabled: null, ...body });
    return ok(found);
  },
  'DELETE users :name': ({ name, who, people }) => {
    if (!find(people.users, name)) return refuse(404, 'unknown_user', 'There is no such account.');
    if (people.isLastAdmin(name)) return lastAdmin();
    people.users = people.users.filter((one) => one.name !== name);
    people.did(who.name, 'user.delete', name);
    return { status: 204 };
  },
  'POST users :name invitation': ({ name, who, people }) => ({
    status: 201,
    body: people.invite(name, who.name),
  }),
  'GET api-tokens': ({ people }) => ok({ tokens: people.tokens }),
  'POST api-tokens': ({ body, who, people }) => {
    if (find(people.tokens, body.name))
      return refuse(409, 'name_taken', 'There is an API token of this name.');
    const life = body.expires_in_s === null ? null : 1_000 * body.expires_in_s;
    const made = token(body.name, body.role, body.scopes, life, who.name, null);
    people.tokens.push(made);
    people.did(who.name, 'api_token.create', body.name, { role: body.role, scopes: body.scopes });
    const secret = `epk_${'exampletoken'.repeat(4)}`;
    return { status: 201, body: { name: body.name, token: secret, expires_at: made.expires_at } };
  },
  'DELETE api-tokens :name': ({ name, who, people }) => {
    if (!find(people.tokens, name)) return refuse(404, 'unknown_api_token', 'There is none.');
    people.tokens = people.tokens.filter((one) => one.name !== name);
    people.did(who.name, 'api_token.delete', name);
    return { status: 204 };
  },
  'GET audit': ({ query, people }) => ok(people.page(query)),
};

function find(all, name) {
  return all.find((one) => one.name === name);
}

function ok(body) {
  return { status: 200, body };
}

function refuse(status, code, detail, faults = []) {
  return { status, problem: { code, detail, faults } };
}

function lastAdmin() {
  return refuse(409, 'last_admin', 'This is the last administrator who can log in.');
}
