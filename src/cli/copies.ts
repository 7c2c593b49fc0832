// How a change that only one server has on disk is spoken of (decision 11).

/** The lines to add to the answer of a change; none once two servers have it on disk. */
export function copyLines(copies: number, what: "token" | "removal"): string[] {
  if (copies >= 2) return [];
  return [`1 copy: only one server has the ${what} on disk. Join more servers.`];
}

/** On which servers' disks a change of the CA is. */
export function copiesLine({ copies, of }: { copies: number; of: readonly string[] }): string {
  const names = of.join(", ");
  if (copies > 1) {
    return of.length > copies
      ? `${copies} copies at least, of ${names}`
      : `${copies} copies: ${names}`;
  }
  const who = names === "" ? "one server" : names;
  return `1 copy: only ${who} has the change on disk, and a second server would keep it safe.`;
}
