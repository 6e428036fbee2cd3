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
    made_of: seconds > 3 * 86_400 ? 'day' : 'hour',
    maths: MATHS,
    mesh: sum(all),
    sites: sites.sort(worst),
    agents: agents.sort(worst),
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

function pairsOf(mesh, seconds) {
  const pairs = [];
  for (let from = 0; from < mesh.n; from += 1) {
    for (let to = 0; to < mesh.n; to += 1) {
      if (from === to) continue;
      const salt = ((from * 31 + to * 17) % 23) / 23;
      // The agent that is down in the picture, and the one in the middle that cannot judge.
      const isDown = to === mesh.n - 1;
      const isBlind = from === Math.floor(mesh.n / 2) - 1;
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
    coverage_percent: judged + unknown_s > 0 ? cut(judged / (judged + unknown_s)) : null,
  };
}

/** Unknown is not the worst: nobody saw anything. */
function worst(a, b) {
  return (a.availability_percent ?? 101) - (b.availability_percent ?? 101);
}
