// What to do about a warning: the handbook's own words for its kind. Pure.

/** The rows of docs/alerts.md that say what to do, in its own notation, by kind. */
export function parseKinds(text: string): Map<string, string> {
  const rows = text.matchAll(/^\| `([a-z-]+)` \| (?:warning|critical) \| (.+) \|$/gm);
  return new Map([...rows].map(([, kind = "", todo = ""]) => [kind, todo.replaceAll("\\|", "|")]));
}

/** What `understudy why` is asked about for a warning; `ids` are members'. */
export function topicOf(
  { kind, subject }: { kind: string; subject?: string | undefined },
  ids: readonly string[],
): string {
  if (/^(puppetdb|courier)-/.test(kind)) return "puppetdb";
  if (kind.startsWith("address-")) return "vip";
  return subject !== undefined && ids.includes(subject) ? subject : "not-ready";
}

/** Warnings as they are read: what is critical first, each with a key that outlives its words. */
export function inOrder<W extends { kind: string; subject?: string | undefined; severity: string }>(
  warnings: readonly W[],
): { key: string; warning: W }[] {
  const seen = new Map<string, number>();
  const keyed = warnings.map((warning) => {
    const about = `${warning.kind} ${warning.subject ?? ""}`;
    const before = seen.get(about) ?? 0;
    seen.set(about, before + 1);
    return { key: `${about} ${before}`, warning };
  });
  const rank = ({ warning }: { warning: W }) => (warning.severity === "critical" ? 0 : 1);
  return keyed.toSorted((a, b) => rank(a) - rank(b));
}

/** Text in the handbook's notation in parts: what stands between backquotes is code. */
export function partsOf(text: string): { text: string; code: boolean }[] {
  return text
    .split("`")
    .map((part, index) => ({ text: part, code: index % 2 === 1 }))
    .filter((part) => part.text !== "");
}
