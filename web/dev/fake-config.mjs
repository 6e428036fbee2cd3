/** The configuration of the made-up mesh: versions, what differs, what it would cost, and agents that follow a few seconds later. */

const USUAL = {
  probe: { interval: '5s', timeout: '1s' },
  window: '10s',
  cells: {
    down_after_losses: 3,
    up_after_replies: 2,
    lossy_after_losses: 3,
    slow_margin: '5ms',
    stale_after_intervals: 4,
  },
  endpoints: [],
  agents: [],
  exclude: [],
};
const NAME = /^[A-Za-z0-9\-_.]{1,64}$/;
const HOUR = 3_600_000;
/** An agent asks what is new every few seconds. */
const TAKES_MS = 700;

export class FakeConfig {
  /** `late`: an agent that stays behind, as a silent one does. */
  constructor(mesh, late) {
    this.mesh = mesh;
    this.late = late;
    this.versions = [];
    const names = mesh.agents.filter(({ kind }) => kind === 'agent').map(({ name }) => name);
    const old = [
      { why: 'the first', change: { probe: { interval: '2s', timeout: '1s' } } },
      { why: 'too much for the link', change: { probe: { interval: '5s', timeout: '1s' } } },
      ...Array.from({ length: 17 }, (_, at) => ({
        why: at % 4 === 0 ? '' : `tried window ${at}`,
        change: { window: ['10s', '15s', '20s', '30s'][at % 4] },
      })),
      {
        why: 'watch the gateway and the resolver',
        change: {
          window: '10s',
          endpoints: [
            { name: 'gateway', address: '192.0.2.1', observers: [] },
            { name: 'resolver', address: 'dns.example.org', observers: ['site:alpha', 'tag:web'] },
          ],
        },
      },
      {
        why: '',
        change: {
          agents: names.slice(0, 4).map((agent, at) => ({
            agent,
            ...(at === 3 ? { site: 'north' } : {}),
            tags: at % 2 === 0 ? ['web', 'edge'] : ['backup'],
          })),
          exclude: [{ between: ['site:alpha', 'tag:backup'] }],
        },
      },
    ];
    let config = USUAL;
    for (const [at, { why, change }] of old.entries()) {
      config = { ...config, ...change };
      this.#keep(config, why, at % 5 === 2 ? '' : 'ada', Date.now() - (old.length - at) * 7 * HOUR);
    }
  }

  get current() {
    return this.versions[0] ?? shown(0, USUAL, '', '', null, null);
  }

  /** What is wrong, as the aggregator tells it. */
  faults({ config, why }) {
    const faults = [];
    const fault = (path, message) => faults.push({ path, message });
    const millis = (path, text) => {
      const found = /^(\d+)(ms|s|m)$/.exec(text ?? '');
      if (!found) fault(path, `\`${text}\` is not a length of time, such as \`10s\` or \`500ms\``);
      return found ? Number(found[1]) * { ms: 1, s: 1_000, m: 60_000 }[found[2]] : 5_000;
    };
    const interval = millis('probe.interval', config.probe.interval);
    const timeout = millis('probe.timeout', config.probe.timeout);
    if (interval < 1_000 || interval > 60_000) fault('probe.interval', 'must be from 1s to 60s');
    if (timeout < 100 || timeout > interval)
      fault('probe.timeout', 'must be from 100ms up to probe.interval');
    if (millis('window', config.window) < interval)
      fault('window', 'must be at least probe.interval, or windows would be empty');
    if (config.cells.down_after_losses < 1 || config.cells.down_after_losses > 12)
      fault('cells.down_after_losses', 'must be from 1 to 12');
    const rule = "must be 1 to 64 letters, digits, '-', '_' or '.'";
    config.endpoints.forEach(({ name, address, observers = [] }, at) => {
      if (!NAME.test(name)) fault(`endpoints[${at}].name`, rule);
      if (address.startsWith('127.'))
        fault(
          `endpoints[${at}].address`,
          `${address} is a loopback address, which is not measured`,
        );
      if (address === '') fault(`endpoints[${at}].address`, 'is no IP address and no DNS name');
      observers.forEach((word, which) => {
        if (word !== 'all' && !/^(site|tag|agent):/.test(word))
          fault(
            `endpoints[${at}].observers[${which}]`,
            `\`${word}\` is not \`all\`, \`site:NAME\`, \`tag:NAME\` or \`agent:NAME\``,
          );
      });
    });
    config.agents.forEach(({ agent }, at) => {
      if (!NAME.test(agent)) fault(`agents[${at}].agent`, `${rule}, or the 64 digits of a key`);
    });
    config.exclude.forEach(({ between }, at) => {
      between.forEach((word, end) => {
        if (word !== 'all' && !/^(site|tag|agent):/.test(word))
          fault(`exclude[${at}].between[${end}]`, `\`${word}\` is not \`all\`, \`site:NAME\`, …`);
      });
    });
    if ((why ?? '').length > 256) fault('why', 'may have 256 bytes');
    return faults;
  }

  /** Agents that exclusions name and that there are not. */
  #nobody(config) {
    const names = new Set(this.mesh.agents.map(({ name }) => `agent:${name}`));
    return config.exclude.flatMap(({ between }, at) =>
      between.flatMap((word, end) =>
        !word.startsWith('agent:') || names.has(word)
          ? []
          : [
              {
                path: `exclude[${at}].between[${end}]`,
                message: `\`${word}\` fits none of the ${names.size} agents; is it spelled right, or still to come?`,
              },
            ],
      ),
    );
  }

  change(config, why, by, { isDryRun, copyOf = null }) {
    const before = this.current;
    const changes = diff(before.config, config);
    const isSame = changes.length === 0 && copyOf === null;
    const version = isSame ? before.version : before.version + 1;
    const answer = {
      version,
      dry_run: isDryRun,
      changes,
      cost_before: this.#cost(before.config),
      cost_after: this.#cost(config),
      warnings: this.#nobody(config),
    };
    if (!isDryRun && !isSame) this.#keep(config, why, by, Date.now(), copyOf);
    return answer;
  }

  agents() {
    const { version, made_at } = this.current;
    const made = Date.parse(made_at ?? '') || 0;
    const agents = this.mesh.agents
      .filter(({ kind }) => kind === 'agent')
      .map(({ id, name }, at) => {
        const isCurrent = at !== this.late && Date.now() - made > (at + 1) * TAKES_MS;
        const since = new Date(isCurrent ? made + (at + 1) * TAKES_MS : made - 7 * HOUR);
        const runs = at === this.late ? Math.max(0, version - 2) : version - 1;
        return {
          id,
          name,
          version: isCurrent ? version : runs,
          since: since.toISOString(),
          is_current: isCurrent,
        };
      });
    return { version, current: agents.filter((agent) => agent.is_current).length, agents };
  }

  page(before, limit) {
    const kept = this.versions.filter(({ version }) => version < before).slice(0, limit);
    return { versions: kept.map((one) => ({ ...one, config: undefined })) };
  }

  #keep(config, why, by, at, copyOf = null) {
    this.versions.unshift(shown((this.versions[0]?.version ?? 0) + 1, config, why, by, at, copyOf));
  }

  #cost({ probe, window, endpoints }) {
    const seconds = (text) => Number(/\d+/.exec(text)[0]) / (text.endsWith('ms') ? 1_000 : 1);
    const n = this.mesh.agents.filter(({ kind }) => kind === 'agent').length;
    const agent_pairs = n * Math.min(n - 1, 64);
    const endpoint_pairs = endpoints.length * Math.min(5, n);
    const pairs = agent_pairs + endpoint_pairs;
    return {
      agent_pairs,
      endpoint_pairs,
      packets_per_s: pairs / seconds(probe.interval),
      rows_per_s: pairs / seconds(window.replace('1m', '60s')),
    };
  }
}

function shown(version, config, why, by, at, copy_of) {
  return {
    version,
    made_at: at === null ? null : new Date(at).toISOString(),
    made_by: by,
    made_by_kind: by ? 'user' : version === 0 ? '' : 'host',
    why,
    copy_of,
    config,
  };
}

function diff(before, after) {
  const [old, now] = [places(before), places(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort()
    .map((path) => ({ path, from: old.get(path) ?? null, to: now.get(path) ?? null }))
    .filter(({ from, to }) => from !== to);
}

function places(value, path = '', found = new Map()) {
  if (value === null || value === undefined) return found;
  if (Array.isArray(value) && value.every((item) => typeof item === 'object'))
    for (const item of value)
      places(item, `${path}[${item.name ?? item.agent ?? item.between.join(',')}]`, found);
  else if (Array.isArray(value)) found.set(path, value.join(', '));
  else if (typeof value === 'object')
    for (const [name, item] of Object.entries(value))
      places(item, path ? `${path}.${name}` : name, found);
  else found.set(path, `${value}`);
  return found;
}

/** What is left out is the usual. */
function whole(config) {
  return {
    ...USUAL,
    ...config,
    probe: { ...USUAL.probe, ...config.probe },
    cells: { ...USUAL.cells, ...config.cells },
  };
}

/** Answers `{ status, body }` or a problem, or `null` for what is not a route of these. */
export function configAnswer({ key, path, query, headers, body, who, config }) {
  const ok = (answer) => ({ status: 200, body: answer });
  const refuse = (status, code, detail, faults) => ({ status, problem: { code, detail, faults } });
  if (key === 'GET /api/v1/config') return ok(config.current);
  if (key === 'GET /api/v1/config/agents') return ok(config.agents());
  if (key === 'GET /api/v1/config/versions')
    return ok(
      config.page(Number(query.get('before') ?? Infinity), Number(query.get('limit') ?? 50)),
    );
  const one = /^\/api\/v1\/config\/versions\/(\d+)(\/rollback)?$/.exec(path);
  const found = one && config.versions.find(({ version }) => version === Number(one[1]));
  if (one && !found) return refuse(404, 'no_such_version', `There is no version ${one[1]}.`);
  if (one && key.startsWith('GET')) return ok(found);
  if (!one && key !== 'PUT /api/v1/config') return null;
  if (who.role === 'viewer') return refuse(403, 'not_allowed', 'This needs the role operator.');
  const wanted = one ? found.config : whole(body.config);
  const faults = config.faults({ config: wanted, why: body.why });
  if (faults.length > 0)
    return refuse(400, 'invalid_config', 'The configuration cannot be used.', faults);
  const base = config.current.version;
  const expected = headers['if-match'];
  const isDryRun = query.get('dry_run') === 'true';
  if (!expected && !isDryRun) return refuse(428, 'if_match_needed', 'If-Match is missing.');
  if (expected && expected !== `"${base}"`)
    return refuse(412, 'changed_meanwhile', `Version ${base} is in force by now.`);
  const copyOf = one ? found.version : null;
  return ok(config.change(wanted, body.why ?? '', who.name, { isDryRun, copyOf }));
}
