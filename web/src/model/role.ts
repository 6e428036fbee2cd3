/** Who may what. The server decides; the page only avoids offering what would be refused. */

export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** A role that this build does not know comes from a newer server and counts as the least. */
export function permits(role: string | undefined, needed: Role): boolean {
  const rank = Math.max(
    0,
    ROLES.findIndex((known) => known === role),
  );
  return role !== undefined && rank >= ROLES.indexOf(needed);
}
