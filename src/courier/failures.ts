// Whether a target fails at everything: its own database is full, say. Then no command is at fault,
// and no number of tries makes it so. The idea: it fails at different things, and takes nothing.

import type { CommandHead } from "./command.ts";

export interface Failures {
  failed(head: CommandHead): void;
  /** It has taken something. */
  took(): void;
  isEverything(): boolean;
}

export function createFailures(): Failures {
  const traits = new Set<string>();
  return {
    failed: (head) => void traits.add(traitOf(head)),
    took: () => traits.clear(),
    isEverything: () => traits.size > 1,
  };
}

/**
 * What a failure may be due to. Of commands the kind: all nodes may have a fact that PuppetDB can't
 * store, and their catalogs wait behind it. Reports for dashboards are of one kind.
 */
function traitOf({ kind, certname }: CommandHead): string {
  return kind === "upload" ? certname : kind;
}
