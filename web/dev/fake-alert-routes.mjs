/** What the made-up aggregator answers about alerts, and what it refuses: each route with the role that it needs. */

export const EVERYBODY = { sites: [], tags: [], agents: [] };

export const ROUTES = {
  'GET incidents': ['viewer', list],
  'GET incidents :id': ['viewer', (all, { id }) => one(all.incidents, id, 'incident')],
  'PUT incidents :id acknowledgement': [
    'operator',
    (all, { id, body, who }) => {
      const found = all.incidents.find((other) => other.id === id && other.state === 'open');
      if (!found) return refuse(404, 'unknown_incident', 'There is no such incident.');
      if (body.note.length > 1024)
        return refuseAll('invalid_note', [fault('note', 'must be at most 1024 bytes')]);
      found.acknowledgement = { by: who.name, at: at(0), note: body.note };
      found.history.push({ at: at(0), text: `${who.name} takes care of it.` });
      return ok(found);
    },
  ],
  'DELETE incidents :id acknowledgement': [
    'operator',
    (all, { id }) => {
      const found = all.incidents.find((other) => other.id === id && other.state === 'open');
      if (!found) return refuse(404, 'unknown_incident', 'There is no such incident.');
      found.acknowledgement = null;
      return { status: 204 };
    },
  ],
  'GET alert-rules': ['viewer', (all) => ok({ rules: all.rules })],
  'POST alert-rules': ['operator', (all, asked) => putRule(all, asked, asked.body)],
  'PUT alert-rules :id': ['operator', (all, asked) => putRule(all, asked, asked.body.rule)],
  'DELETE alert-rules :id': ['operator', remove('rules', 'rule')],
  'GET silences': ['viewer', (all) => ok({ silences: all.silences.map(withState) })],
  'POST silences': ['operator', (all, asked) => putSilence(all, asked, asked.body)],
  'PUT silences :id': ['operator', (all, asked) => putSilence(all, asked, asked.body.silence)],
  'DELETE silences :id': ['operator', remove('silences', 'silence')],
  'GET channels': ['operator', (all) => ok({ channels: all.channels })],
  'POST channels': ['admin', (all, asked) => putChannel(all, asked, asked.body)],
  'PUT channels :id': ['admin', (all, asked) => putChannel(all, asked, asked.body.channel)],
  'DELETE channels :id': [
    'admin',
    (all, asked) => {
      const used = asked.schedules.filter(({ channel }) => `${channel}` === asked.id);
      if (used.length === 0) return remove('channels', 'channel')(all, asked);
      const names = used.map(({ name }) => name).join(', ');
      const detail = `Reports are sent through this channel: ${names}. Choose another channel for them first, or delete them.`;
      return refuse(409, 'channel_in_use', detail);
    },
  ],
  'POST channels :id test': [
    'admin',
    (all, { id }) => {
      const found = all.channels.find((channel) => `${channel.id}` === id);
      return found ? all.test(found) : refuse(404, 'unknown_channel', 'There is no such channel.');
    },
  ],
  'GET channels :id deliveries': [
    'operator',
    (all, { id, query }) => {
      const [limit, cursor] = [Number(query.get('limit') ?? 50), Number(query.get('cursor'))];
      const kept = all.deliveries.filter(
        (line) => `${line.channel}` === id && (!cursor || line.id < cursor),
      );
      const titles = new Map(all.incidents.map((one) => [one.id, one.title]));
      const deliveries = kept
        .slice(0, limit)
        .map((line) => ({ ...line, title: titles.get(line.incident) ?? null }));
      return ok({ deliveries, next: kept.length > limit ? deliveries.at(-1).id : null });
    },
  ],
};

function list(all, { query }) {
  const [state, severity, kind] = ['state', 'severity', 'class'].map((name) => query.get(name));
  const limit = Number(query.get('limit') ?? 50);
  const behind = Number(query.get('cursor') ?? 0);
  const fits = all.incidents.filter(
    (one) =>
      (!state || one.state === state) &&
      (!severity || one.severity === severity) &&
      (!kind || one.class === kind),
  );
  fits.sort((a, b) => Date.parse(b.opened_at) - Date.parse(a.opened_at));
  const next = fits.length > behind + limit ? `${behind + limit}` : null;
  return ok({ incidents: fits.slice(behind, behind + limit), next });
}

function scopeOf(scope = {}, mesh, faults) {
  const side = (name, selector = EVERYBODY) => ({
    ...EVERYBODY,
    ...selector,
    agents: (selector.agents ?? []).map((text, at) => {
      const found = mesh.agents.find((agent) => agent.name === text || agent.id === text);
      const message = `there is no agent or endpoint \`${text}\`; use its name or its public key`;
      if (!found) faults.push(fault(`scope.${name}.agents[${at}]`, message));
      return found?.id ?? text;
    }),
  });
  return {
    source: side('source', scope.source),
    target: side('target', scope.target),
    both_ways: scope.both_ways ?? false,
  };
}

function putRule(all, { id, body, who, mesh }, wanted) {
  const faults = [];
  const scope = scopeOf(wanted.scope, mesh, faults);
  if (wanted.name === '')
    faults.push(fault('name', 'must be 1 to 128 bytes without control characters'));
  for (const name of ['for_s', 'clear_for_s'])
    if (wanted[name] > 86_400) faults.push(fault(name, 'must be at most 86400, which is a day'));
  const { kind, above_permille, below_permille, above_us, below_us, after_s } = wanted.condition;
  if (above_permille > 999)
    faults.push(
      fault('condition.above_permille', 'must be below 1000: more than all cannot be lost'),
    );
  if (below_permille > above_permille)
    faults.push(fault('condition.below_permille', 'must be at most `above_permille`'));
  if (above_us === 0) faults.push(fault('condition.above_us', 'must be at least 1'));
  if (below_us > above_us) faults.push(fault('condition.below_us', 'must be at most `above_us`'));
  if (kind === 'silent' && (after_s < 30 || after_s > 86_400))
    faults.push(fault('condition.after_s', 'must be from 30 to 86400, which is a day'));
  const rule = { ...wanted, scope };
  return all.put('rule', all.rules, faults, id, body.version, { rule }, who.name);
}

function putSilence(all, { id, body, who, mesh }, wanted) {
  const faults = [];
  const scope = scopeOf(wanted.scope, mesh, faults);
  if (Date.parse(wanted.until) <= Date.parse(wanted.from))
    faults.push(fault('until', 'must be later than `from`'));
  if (wanted.reason === '')
    faults.push(fault('reason', 'must be 1 to 1024 bytes: somebody will ask'));
  const silence = { ...wanted, scope };
  const answer = all.put('silence', all.silences, faults, id, body.version, { silence }, who.name);
  return answer.body ? { ...answer, body: withState(answer.body) } : answer;
}

function putChannel(all, { id, body, who }, wanted) {
  const faults = [];
  const before = all.channels.find((channel) => `${channel.id}` === id);
  if (wanted.name === '')
    faults.push(fault('name', 'must be 1 to 128 bytes without control characters'));
  const { kind, url, key, settings, password } = wanted.target;
  let target = before?.target;
  if (kind === 'mail') {
    if (settings.host === '')
      faults.push(fault('target.settings.host', 'must be a name or an address'));
    if (settings.port === 0) faults.push(fault('target.settings.port', 'must not be 0'));
    if (settings.from === '') faults.push(fault('target.settings.from', 'Missing domain or user'));
    if (settings.to.length === 0)
      faults.push(fault('target.settings.to', 'must have 1 to 32 recipients'));
    const has_password = password !== null || (before?.target.has_password ?? false);
    if (settings.user !== null && !has_password)
      faults.push(fault('target.password', 'is missing; without one `user` must be null'));
    target = { kind, settings, has_password };
  } else {
    if (!url && !before) faults.push(fault('target.url', 'is missing'));
    if (url && !url.startsWith('https://'))
      faults.push(fault('target.url', 'must begin with https://'));
    if (kind === 'webhook' && !before && (key ?? '').length < 32)
      faults.push(fault('target.key', 'must be 32 to 4096 bytes; it signs what is sent'));
    if (url && faults.length === 0) target = { kind, origin: new URL(url).origin };
  }
  const isTaken = all.channels.some((one) => one.name === wanted.name && one !== before);
  if (isTaken && faults.length === 0)
    return refuse(409, 'name_taken', 'Another one has this name. Choose another.');
  const { name, enabled, repeat_s } = wanted;
  const kept = { name, enabled, repeat_s, target };
  const more = before ? {} : { resting_until: null, failures: 0, trouble: null };
  return all.put('channel', all.channels, faults, id, body.version, { ...kept, ...more }, who.name);
}

function withState(kept) {
  const { from, until } = kept.silence;
  const now = Date.now();
  const state = now < Date.parse(from) ? 'planned' : now >= Date.parse(until) ? 'over' : 'active';
  return { ...kept, state };
}

function remove(name, kind) {
  return (all, { id }) => {
    if (!all[name].some((other) => `${other.id}` === id))
      return refuse(404, `unknown_${kind}`, `There is no ${kind} of this number.`);
    all[name] = all[name].filter((other) => `${other.id}` !== id);
    return { status: 204 };
  };
}

function one(all, id, kind) {
  const found = all.find((other) => other.id === id);
  return found ? ok(found) : refuse(404, `unknown_${kind}`, `There is no such ${kind}.`);
}

export function at(ago) {
  return new Date(Date.now() - ago).toISOString();
}

export function ok(body) {
  return { status: 200, body };
}

export function refuse(status, code, detail, faults = []) {
  return { status, problem: { code, detail, faults } };
}

export function refuseAll(code, faults) {
  const detail = faults.map(({ path, message }) => `${path}: ${message}.`).join(' ');
  return refuse(400, code, detail, faults);
}

function fault(path, message) {
  return { path, message };
}
