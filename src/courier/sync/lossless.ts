// JSON whose numbers keep their spelling: 1.0, 1e3 and integers of twenty digits go out as they
// came. PuppetDB's hashes are of that spelling, and JavaScript's own numbers would change the data.

/** JSON.parse as it is now; TypeScript's library doesn't know it yet. */
type Parse = (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => unknown;
const parse = JSON.parse as Parse;
const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };

/**
 * Parses `text`; each number becomes an object that only JSON.stringify understands. Throws
 * SyntaxError.
 */
export function parseLossless(text: string): unknown {
  return parse(text, (_key, value, { source }) =>
    typeof value === "number" ? rawJSON(source ?? String(value)) : value,
  );
}

/** The text of what parseLossless gave, or of what was made of it. */
export function renderLossless(value: unknown): string {
  return JSON.stringify(value);
}
