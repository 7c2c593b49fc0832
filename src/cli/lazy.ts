// Commands are loaded when they are typed: loading all takes longer than most of them run.

import type { Command } from "commander";

/** Loads a command's module and adds it; several may stand together under one name. */
export type Adder = (to: Command) => Promise<void>;

/**
 * Adds the one of `all` that `word` names. Where it names none (an option, a slip, nothing), help
 * and suggestions need them all.
 */
export async function addTyped(
  to: Command,
  word: string | undefined,
  all: Readonly<Record<string, Adder>>,
): Promise<void> {
  const typed = word !== undefined && Object.hasOwn(all, word) ? all[word] : undefined;
  const adders = typed === undefined ? new Set(Object.values(all)) : [typed];
  for (const add of adders) await add(to);
}
