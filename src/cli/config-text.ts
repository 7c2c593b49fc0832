// The settings as a text that people edit, and what it tells when it comes back. Pure. The idea:
// the text says which revision it was made from, since a kept one may be sent long after.

import { Fault, messageOf } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import type { Settings } from "../cluster/schema.ts";
import {
  CATALOG,
  editableOf,
  jsonForm,
  SETTING_KEYS,
  type SettingChange,
} from "../cluster/settings/catalog.ts";

export const TEXT_MAX = 300;
/** The line in which the text says what it was made from. */
const MADE_FROM = /^\/\/ revision (\d{1,15})\b/m;

/**
 * The settings of `revision` as text: JSON, each with what it is in a line before it; see
 * `revisionIn`.
 */
export function renderText(settings: Settings, revision: number): string {
  const values = editableOf(settings);
  const lines = SETTING_KEYS.flatMap((key) => {
    const { what } = CATALOG[key];
    const value = values[key];
    // What isn't set is shown, and stays unset while its line is a comment.
    const line =
      value === undefined ? `  // "${key}": …,` : `  "${key}": ${JSON.stringify(value)},`;
    return ["", `  // ${what} (${jsonForm(key)})`, line];
  });
  return [
    HEAD,
    `// revision ${revision}: this text was made from it, and is refused where there is a newer one.`,
    "{",
    ...lines.slice(1),
    "}",
    "",
  ].join("\n");
}

const HEAD = `// The settings of the whole cluster. They hold on every member as soon as this is saved and checked.
// Leave the text as it is to change nothing.`;

/** The revision that a text was made from; undefined: somebody has written it himself. */
export function revisionIn(text: string): number | undefined {
  const made = MADE_FROM.exec(text)?.[1];
  return made === undefined ? undefined : Number(made);
}

/** What the text says: lines of comments, and commas too many, are left out. */
export function parseText(text: string): Record<string, unknown> {
  const json = text
    .split("\n")
    .filter((line) => !/^\s*\/\//.test(line))
    .join("\n")
    .replaceAll(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, (_, text?: string) => text ?? "");
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    throw new Error("it is no object");
  } catch (error) {
    throw new Fault("config.text", `the text isn't JSON: ${messageOf(error)}`, {
      hints: ["Nothing was changed."],
    });
  }
}

/** Changes as lines. */
export function renderChanges(changes: readonly SettingChange[]): string {
  if (changes.length === 0) return "Nothing differs.";
  return changes
    .map(({ key, from, to }) => `  ${key}: ${oneLine(from, TEXT_MAX)} → ${oneLine(to, TEXT_MAX)}`)
    .join("\n");
}
