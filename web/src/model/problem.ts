/** What is wrong with single fields, as a problem document says it: `faults: [{ "path": "target.url", "message": "is missing" }]`. */

export interface FieldError {
  /** Which field of the request: "name", "endpoints[2].address"; empty for the whole. */
  field: string;
  /** By itself, as a sentence. */
  detail: string;
}

/** Names of the API that a sentence may mention, as the forms call them. */
const WORDS: Readonly<Record<string, string>> = {
  above_permille: 'the threshold',
  above_us: 'the threshold',
  below_permille: 'the lower threshold',
  below_us: 'the lower threshold',
  after_s: 'the time of silence',
  for_s: 'the time that it must hold',
  clear_for_s: 'the time until it is over',
  repeat_s: 'the time until it is told again',
  until: 'the end',
  from: 'the beginning',
  user: 'the user',
  'alerts.allow_networks': 'alerts.allow_networks in the configuration of the aggregator',
};

/** Total: a body that has another shape simply has no failures of fields. */
export function fieldErrors(body: unknown): FieldError[] {
  const { faults } = (body ?? {}) as { faults?: unknown };
  if (!Array.isArray(faults)) return [];
  return faults.flatMap((entry: unknown) => {
    const { path, message } = (entry ?? {}) as { path?: unknown; message?: unknown };
    if (typeof path !== 'string' || typeof message !== 'string') return [];
    return [{ field: path, detail: sentence(message) }];
  });
}

/** All that is said about one field and what is in it, in one text; '' when nothing is. */
export function errorOf(errors: readonly FieldError[], field: string): string {
  return said(errors.filter((error) => isWithin(error.field, field)));
}

/** All that is said about a list or a group itself; '' when nothing is. */
export function errorAt(errors: readonly FieldError[], field: string): string {
  return said(errors.filter((error) => error.field === field));
}

/** Whether a place is another one, or in it. */
export function isWithin(place: string, path: string): boolean {
  return place === path || place.startsWith(`${path}.`) || place.startsWith(`${path}[`);
}

/** What is about none of these fields, and must be said somewhere all the same. */
export function unplaced(errors: readonly FieldError[], fields: readonly string[]): string[] {
  return errors
    .filter((error) => !fields.some((field) => isWithin(error.field, field)))
    .map(({ field, detail }) => (field === '' ? detail : `${field}: ${detail}`));
}

function said(errors: readonly FieldError[]): string {
  return errors.map((error) => error.detail).join(' ');
}

/** What is to be read behind a path, by itself. */
function sentence(message: string): string {
  const readable = message.replace('86400, which is a day', 'a day');
  const plain = readable.replace(/`([^`]*)`/g, (_, name: string) => WORDS[name] ?? name);
  // What somebody wrote themselves begins as they wrote it.
  const text = message.startsWith('`') ? plain : plain.charAt(0).toUpperCase() + plain.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
