// Which releases of PuppetDB can be brought level with each other. Pure. What they say and take is
// the same from 7 to 9: the same commands, the same hashes.

const OLDEST = 7;
const NEWEST = 9;

/** Why PuppetDBs of these releases aren't compared; empty: they are. */
export function refuseVersion(here: string, there: string): string {
  const own = majorOf(here);
  if (!isKnown(own)) return `this server's is PuppetDB ${here}: ${KNOWN}`;
  if (!isKnown(majorOf(there))) return `it is PuppetDB ${there}: ${KNOWN}`;
  return "";
}

const KNOWN = `releases ${OLDEST} to ${NEWEST} are synchronized`;

function isKnown(major: number): boolean {
  return major >= OLDEST && major <= NEWEST;
}

function majorOf(version: string): number {
  return Number(/^(\d+)\./.exec(version)?.[1] ?? Number.NaN);
}
