// How a change that only one server has on disk is spoken of (decision 11).

/** The lines to add to the answer of a change; none once two servers have it on disk. */
export function copyLines(copies: number, what: "token" | "removal"): string[] {
  if (copies >= 2) return [];
  return [`1 copy: only one server has the ${what} on disk. Join more servers.`];
}
