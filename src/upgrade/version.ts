// Versions of Debian packages, compared as dpkg does (deb-version(7)). Pure; dpkg itself is the
// oracle in its tests.

/** Below 0 when `a` is the older one, 0 when they are equal. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [parse(a), parse(b)];
  return (
    x.epoch - y.epoch || comparePart(x.upstream, y.upstream) || comparePart(x.debian, y.debian)
  );
}

/** The first two numbers of the upstream version: [3, 4] of "3.4.23+dfsg-4". */
export function minorOf(version: string): [number, number] {
  const [major = 0, minor = 0] = (/^\d+(?:\.\d+)*/.exec(parse(version).upstream)?.[0] ?? "")
    .split(".")
    .map(Number);
  return [major, minor];
}

function parse(version: string): { epoch: number; upstream: string; debian: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    debian: dash < 0 ? "0" : rest.slice(dash + 1),
  };
}

/** By turns what is no digit, in an order of its own, and what is a number. */
function comparePart(a: string, b: string): number {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a[i])) || (j < b.length && !isDigit(b[j]))) {
      const difference = weightOf(a[i]) - weightOf(b[j]);
      if (difference !== 0) return difference;
      i += 1;
      j += 1;
    }
    const [x, y] = [digitsAt(a, i), digitsAt(b, j)];
    const difference = Number(x || "0") - Number(y || "0");
    if (difference !== 0) return difference;
    i += x.length;
    j += y.length;
  }
  return 0;
}

/** "~" is before the end, letters are before all other characters. */
function weightOf(character: string | undefined): number {
  if (character === "~") return -1;
  if (character === undefined || isDigit(character)) return 0;
  const code = character.charCodeAt(0);
  return /[a-zA-Z]/.test(character) ? code : code + 256;
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= "0" && character <= "9";
}

function digitsAt(text: string, at: number): string {
  return /^\d*/.exec(text.slice(at))?.[0] ?? "";
}
