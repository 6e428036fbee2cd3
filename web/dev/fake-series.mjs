/** A past that never was: one pair over time, with a night without measurements, a loss and an outage in it. */

/** About as many points as the aggregator gives. */
const STEPS = { '1h': 15, '24h': 300, '7d': 1_800, '30d': 7_200 };
const SECONDS = { '1h': 3_600, '24h': 86_400, '7d': 604_800, '30d': 2_592_000 };
const PROBE_EVERY_S = 5;

/** `rtt` in microseconds is what the pair has on a good day; `salt` makes each direction its own. */
export function fakeSeries({ source, target, range, to, rtt, salt }) {
  const step = STEPS[range] ?? STEPS['1h'];
  const length = SECONDS[range] ?? SECONDS['1h'];
  const end = Math.floor(to / 1_000 / step) * step;
  const start = end - length;
  const points = [];
  for (let at = start; at < end; at += step) {
    const share = (at - start) / length;
    // Nobody measured here: the agent was away. Both ends of it are not the same in both directions.
    if (share > 0.3 && share < 0.38 + 0.02 * salt) continue;
    points.push(point(at, step, share, rtt, salt));
  }
  const iso = (seconds) => new Date(seconds * 1_000).toISOString();
  return {
    source,
    target,
    kind: 'icmp',
    from: iso(start),
    to: iso(end),
    step_s: step,
    sources: ['minute'],
    points,
  };
}

function point(at, step, share, rtt, salt) {
  const noise = (n) => wave(at / step + n * 17.3 + salt * 91.7);
  const sent = Math.max(1, Math.round(step / PROBE_EVERY_S));
  const isDown = salt === 0 && share > 0.62 && share < 0.645;
  const isLossy = share > 0.74 && share < 0.83;
  const chance = isDown ? 1 : isLossy ? 0.02 + 0.16 * noise(1) : noise(2) > 0.985 ? 0.04 : 0;
  const lost = isDown
    ? sent
    : Math.min(sent, Math.round(sent * chance + (chance > 0 ? noise(3) : 0)));
  const busy = 1 + 0.9 * Math.max(0, Math.sin(share * 9.4)) ** 3;
  const median = Math.round(rtt * busy * (1 + 0.08 * noise(4)));
  const p95 = Math.round(median * (1.15 + 0.35 * noise(5)));
  const p99 = Math.round(p95 * (1.1 + 0.8 * noise(6) ** 4));
  const known = lost < sent;
  return {
    at: new Date(at * 1_000).toISOString(),
    measured_s: step,
    down_s: isDown ? step : 0,
    unknown_s: 0,
    sent,
    received: sent - lost,
    late: 0,
    lost,
    duplicated: 0,
    not_measured: { not_permitted: 0, overload: 0, send_failed: 0, stalled: 0 },
    loss_permille: Math.ceil((1_000 * lost) / sent),
    rtt_min_us: known ? Math.round(median * 0.9) : null,
    rtt_mean_us: known ? Math.round(median * 1.04) : null,
    rtt_max_us: known ? Math.round(p99 * 1.1) : null,
    rtt_p50_us: known ? median : null,
    rtt_p95_us: known ? p95 : null,
    rtt_p99_us: known ? p99 : null,
  };
}

/** Noise between 0 and 1 that is the same for the same number. */
function wave(value) {
  const mixed = Math.sin(value * 12.9898) * 43_758.5453;
  return mixed - Math.floor(mixed);
}
