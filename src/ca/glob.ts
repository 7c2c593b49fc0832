// Names as a shell matches them. Danger: whoever may read chooses the pattern, and a regular
// expression made of one with many `*` takes longer than anybody lives.

/** Whether `name` is as `pattern` says: `*` is any text, `?` any one character. */
export function matchesGlob(pattern: string, name: string): boolean {
  let at = 0;
  let next = 0;
  /** The last `*`, and where in the name what follows it is tried. */
  let star = -1;
  let from = 0;
  while (next < name.length) {
    if (pattern[at] === "*") {
      star = at;
      from = next;
      at += 1;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === name[next])) {
      at += 1;
      next += 1;
    } else if (star >= 0) {
      // What the last `*` stands for is one longer. Those before it need no other try.
      from += 1;
      at = star + 1;
      next = from;
    } else return false;
  }
  while (pattern[at] === "*") at += 1;
  return at === pattern.length;
}
