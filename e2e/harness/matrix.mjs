// The matrix as JSON (docs/reference/live-protocol.md), with names instead of numbers.

export class Matrix {
  constructor(json) {
    this.at = json.at;
    this.agents = json.agents;
    const names = new Map(json.agents.map((agent) => [agent.index, agent.name]));
    this.cells = new Map(json.cells.map((cell) => [`${names.get(cell.source)} ${names.get(cell.target)}`, cell]));
    // The diagonal is nobody's path.
    for (const agent of json.agents) this.cells.delete(`${agent.name} ${agent.name}`);
  }

  cell(source, target) {
    return this.cells.get(`${source} ${target}`);
  }

  state(source, target) {
    return this.cell(source, target)?.state ?? 'unknown';
  }

  /** The pairs "source target" in one of these states, sorted. */
  pairs(...states) {
    return [...this.cells]
      .filter(([, cell]) => states.includes(cell.state))
      .map(([pair]) => pair)
      .sort();
  }

  get measured() {
    return this.pairs('ok', 'slow', 'lossy', 'down');
  }

  /** Pairs whose last result is younger than a moment (milliseconds since the epoch). */
  measuredSince(moment) {
    return [...this.cells]
      .filter(([, cell]) => cell.measured_at && Date.parse(cell.measured_at) >= moment)
      .map(([pair]) => pair)
      .sort();
  }

  /** For complaints: one letter a cell. */
  text() {
    const letter = { ok: '.', slow: 's', lossy: 'l', down: 'D', unknown: '?' };
    const names = this.agents.map((agent) => agent.name).sort();
    const row = (source) => names.map((target) => (source === target ? '\\' : (letter[this.state(source, target)] ?? '!'))).join(' ');
    return [
      `matrix at ${this.at} (. ok, s slow, l lossy, D down, ? unknown)`,
      ...names.map((name) => `${name.padEnd(12)} ${row(name)}`),
    ].join('\n');
  }
}

/** All ordered pairs of these names. */
export function orderedPairs(sources, targets = sources) {
  return sources.flatMap((source) => targets.filter((target) => target !== source).map((target) => `${source} ${target}`)).sort();
}
