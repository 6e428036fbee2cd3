/**
 * The failures of single fields inside a problem document: `errors: [{ "pointer": "#/site", "detail": "…" }]`,
 * the extension that RFC 9457 itself gives as its example.
 */

export interface FieldError {
  /** Name of the field; nested ones with dots, such as "channels.0.url". */
  field: string;
  detail: string;
}

/** Total: a body that has another shape simply has no failures of fields. */
export function fieldErrors(body: unknown): FieldError[] {
  const { errors } = (body ?? {}) as { errors?: unknown };
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((entry: unknown) => {
    const { pointer, detail } = (entry ?? {}) as { pointer?: unknown; detail?: unknown };
    if (typeof pointer !== 'string' || typeof detail !== 'string') return [];
    return [{ field: fieldOf(pointer), detail }];
  });
}

/** All that is said about one field, in one sentence; '' when nothing is. */
export function errorOf(errors: readonly FieldError[], field: string): string {
  return errors
    .filter((error) => error.field === field)
    .map((error) => error.detail)
    .join(' ');
}

/** A JSON pointer, with or without the "#" of a URI fragment. */
function fieldOf(pointer: string): string {
  return pointer
    .replace(/^#?\//, '')
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.');
}
