/** A report of the made-up mesh: the same faults as in its picture, summed up over the period. */

const LENGTHS = { '24h': 86_400, '7d': 604_800, '30d': 2_592_000 };
const MATHS =
  'For each ordered pair the period is split into three parts: down, the windows in which the measuring agent judged the pair down; up, all other windows in which it could judge it; unknown, the rest. Availability is up / (up + down), coverage is (up + down) / period. An agent is the sum of all pairs towards it, a site the sum of all pairs across its border, in both directions. Nothing is averaged, and what nobody saw is neither up nor down.';

export function fakeReport(mesh, query, now) {
  const end = Math.min(now, Date.parse(query.get('to') ?? '') || now);
  const begin =
    Date.parse(query.get('from') ?? '') ||
    end - 1_000 * (LENGTHS[query.get('range') ?? '30d'] ?? 2_592_000);
  const seconds = Math.max(0, (end - begin) / 1_000);
  const all = seconds > 0 ? pairsOf(mesh, seconds) : [];
  const ends = (pair) => [mesh.agents[pair.from], mesh.agents[pair.to]];
  const asked = all.filter((pair) =>
    ['site', 'agent'].every((name) => {
      const wanted = query.get(name);
      return !wanted || ends(pair).some((one) => one[name === 'site' ? 'site' : 'name'] === wanted);
    }),
  );
  const sites = [...new Set(mesh.agents.map(({ site }) => site))].map((name) => {
    const crossing = all.filter((pair) => {
      const [a, b] = ends(pair).map(({ site }) => site === name);
      return a !== b;
    });
    const agents = mesh.agents.filter(({ site }) => site === name).length;
    return { name, agents, pairs: crossing.length, ...sum(crossing) };
  });
  const agents = mesh.agents.map(({ name, site, index }) => {
    const towards = all.filter(({ to }) => to === index);
    return { name, site, pairs: towards.length, ...sum(towards) };
  });
  return {
    from: new Date(begin).toISOString(),
    to: new Date(end).toISOString(),
    data_from: new Date(now - 20 * 86_400_000).toISOString(),
    made_of: seconds > 3 * 86_400 ? 'day' : 'hour',
    maths: MATHS,
    mesh: sum(all),
    sites: sites.sort(worst),
    agents: agents.sort(worst),
    ...incidentsOf(mesh, query, begin, end),
    pairs_measured: asked.length,
    pairs: asked
      .map((pair) => ({
        source: mesh.agents[pair.from].name,
        target: mesh.agents[pair.to].name,
        kind: 'icmp',
        loss_percent: pair.loss,
        rtt_mean_us: pair.up_s > 0 ? mesh.typicalRtt(pair.from, pair.to) : null,
        ...sum([pair]),
      }))
      .sort(worst)
      .slice(0, Number(query.get('pairs') ?? 100)),
  };
}

/** Those of the made-up mesh: one is open, and the others were over before. */
function incidentsOf(mesh, query, begin, end) {
  const [first, second, , fourth] = mesh.agents;
  const last = mesh.agents[mesh.count - 1];
  const HOUR = 3_600_000;
  const all = [
    incident('3907185289bc18bcabc00197a4f66a93', 2, null, 'critical', 'host_down', last, {
      acknowledged_by: 'ada',
    }),
    incident('5c07185289bc18bcabc00197a4f66b01', 9, 8.2, 'warning', 'pair_lossy', second, {
      is_ambiguous: true,
      first_opened_at: new Date(Date.now() - 11.5 * HOUR).toISOString(),
      outages: 3,
    }),
    incident('77aa185289bc18bcabc00197a4f66b02', 50, 49.9, 'info', 'silent', fourth, {
      is_silenced: true,
      ending: 'gone',
    }),
    incident('88bb185289bc18bcabc00197a4f66b03', 190, 171, 'critical', 'host_down', first, {}),
    incident('99cc185289bc18bcabc00197a4f66b04', 9_000, 8_990, 'critical', 'host_down', first, {}),
  ].filter(
    (one) =>
      (one.ended_at === null || Date.parse(one.ended_at) > begin) &&
      Date.parse(one.since) < end &&
      (!query.get('agent') || one.agents.includes(query.get('agent'))) &&
      (!query.get('site') || one.sites.includes(query.get('site'))),
  );
  return {
    incidents_count: all.length,
    incidents: all.slice(0, Number(query.get('incidents') ?? 100)),
  };

  function incident(id, from, to, severity, kind, agent, more) {
    const at = (hours) => new Date(Date.now() - hours * HOUR).toISOString();
    const words = {
      host_down: 'Host NAME is down',
      pair_lossy: 'Losses to NAME',
      silent: 'NAME is silent',
    };
    return {
      id,
      state: to === null ? 'open' : 'over',
      severity,
      class: kind,
      title: words[kind].replace('NAME', agent?.name ?? 'nobody'),
      subject: 'agent',
      agents: agent ? [agent.name] : [],
      sites: agent ? [agent.site] : [],
      since: at(from),
      opened_at: at(from - 0.003),
      first_opened_at: at(from - 0.003),
      outages: 1,
      ended_at: to === null ? null : at(to),
      duration_s: (from - (to ?? 0)) * 3_600,
      ending: to === null ? null : 'recovered',
      is_silenced: false,
      is_ambiguous: false,
      acknowledged_by: null,
      ...more,
    };
  }
}

function pairsOf(mesh, seconds) {
  const pairs = [];
  for (let from = 0; from < mesh.n; from += 1) {
    for (let to = 0; to < mesh.n; to += 1) {
      if (from === to || mesh.agents[from].kind === 'endpoint') continue;
      const salt = ((from * 31 + to * 17) % 23) / 23;
      // The agent that is down in the picture, and the one in the middle that cannot judge.
      const isDown = to === mesh.count - 1;
      const isBlind = from === Math.floor(mesh.count / 2) - 1;
      const unknown = isBlind ? seconds : seconds * (0.002 + 0.01 * salt);
      const down = isBlind
        ? 0
        : isDown
          ? seconds * 0.034
          : salt > 0.8
            ? seconds * 0.0004 * salt
            : 0;
      const up = seconds - unknown - down;
      pairs.push({
        from,
        to,
        up_s: up,
        down_s: down,
        unknown_s: unknown,
        loss: isBlind ? null : isDown ? 3.4127 : Number((0.02 * salt).toFixed(4)),
      });
    }
  }
  return pairs;
}

function sum(pairs) {
  const add = (part) => pairs.reduce((whole, pair) => whole + pair[part], 0);
  const [up_s, down_s, unknown_s] = ['up_s', 'down_s', 'unknown_s'].map(add);
  const cut = (share) => Math.floor(share * 1e6) / 1e4;
  const judged = up_s + down_s;
  return {
    up_s,
    down_s,
    unknown_s,
    availability_percent: judged > 0 ? cut(up_s / judged) : null,
    coverage_percent: judged > 0 ? cut(judged / (judged + unknown_s)) : 0,
  };
}

/** Unknown is not the worst: nobody saw anything. */
function worst(a, b) {
  return (a.availability_percent ?? 101) - (b.availability_percent ?? 101);
}
