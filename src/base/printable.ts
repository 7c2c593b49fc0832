// Text of others before it comes into a line, a log or a terminal: nothing in it may break a line,
// move the cursor or turn the direction of what follows.

/** `text` in ASCII, with everything else replaced, and cut to a bearable length. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 300);
}

/**
 * `text` as one line in any language: control and format characters come out as what they are, as
 * in \u{1b}, and what is longer than `charactersMax` ends with …
 */
export function oneLine(text: string, charactersMax: number): string {
  // Cut first: each character that is written out becomes several.
  const cut = Array.from(text.slice(0, charactersMax * 2 + 2));
  const kept = cut.length > charactersMax ? [...cut.slice(0, charactersMax - 1), "…"] : cut;
  return kept.map((each) => (HIDDEN.test(each) ? codeOf(each) : each)).join("");
}

/** Control, format (direction, joiners, soft hyphens), private, unassigned, line separators. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;

function codeOf(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
