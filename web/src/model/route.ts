/** Paths of the page: which pattern an address fits, and the addresses of things that have a page of their own. */

export type Params = Readonly<Record<string, string>>;

/** "/pairs/:source/:target" fits "/pairs/a/b". A text that is not valid percent-encoding fits nothing. */
export function matchPath(pattern: string, path: string): Params | null {
  const wanted = segments(pattern);
  const given = segments(path);
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    if (!part.startsWith(':')) {
      if (part !== given[at]) return null;
      continue;
    }
    const value = decode(given[at]);
    if (value === null) return null;
    params[part.slice(1)] = value;
  }
  return params;
}

export function agentPath(name: string): string {
  return `/agents/${encodeURIComponent(name)}`;
}

export function pairPath(source: string, target: string): string {
  return `/pairs/${encodeURIComponent(source)}/${encodeURIComponent(target)}`;
}

/** A slash at the end is how people type, and means the same page. */
function segments(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
