// Which PuppetDB this courier's queries go to, over time: what it decides, what others have decided
// since, what somebody orders.

import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Log } from "../base/log.ts";
import { wallMs } from "../host/clock.ts";
import type { CourierConfig } from "./config.ts";
import { type Choice, chooseForQueries, preferred } from "./fit.ts";
import type { Peer } from "./peers.ts";
import { readUsed, rememberUsed } from "./queries-file.ts";

export interface Queries {
  /** Decides which one a query goes to now; undefined: none is fit. */
  choose(): string | undefined;
  /** Follows an order as soon as it can be, also while nobody asks. */
  follow(): void;
  /** What was decided last. */
  chosen(): Choice | undefined;
  /** Resolves when what was decided so far is on disk, or can't be. */
  kept(): Promise<void>;
}

/** Goes on with what the file in `config.stateDir` says. */
export async function createQueries(
  {
    stateDir,
    puppetdbs,
    avoid,
    use,
  }: Pick<CourierConfig, "stateDir" | "puppetdbs" | "avoid" | "use">,
  { peers, isFit, log }: { peers: readonly Peer[]; isFit: (id: string) => boolean; log: Log },
): Promise<Queries> {
  const path = join(stateDir, "queries");
  // Kept while none is fit: then it goes on with this one, not with the first in line.
  let kept = await readUsed(path, puppetdbs);
  let { choice: last, followed } = kept;
  let chosen = last;
  // One after the other, so that the file tells of the last.
  let writing = Promise.resolve();
  const order = () => (use !== undefined && use.at !== followed ? use.id : undefined);
  const choose = () => {
    const elsewhere = peers.flatMap((peer) => {
      const said = peer.reachable() ? peer.state()?.queries : undefined;
      return said === undefined ? [] : [said];
    });
    const told = order();
    const now = { told, here: last, elsewhere, nowMs: wallMs() };
    const next = chooseForQueries(puppetdbs, preferred(puppetdbs, avoid, isFit), now);
    if (use !== undefined && next?.id === told) followed = use.at;
    if (next?.id !== chosen?.id) {
      const [from, to] = [chosen?.id ?? "none", next?.id ?? "none"];
      log.info("queries go to another PuppetDB", { from, to });
    }
    if (next !== undefined && !isDeepStrictEqual(kept, { choice: next, followed })) {
      const used = (kept = { choice: next, followed });
      writing = writing.then(async () => rememberUsed(path, used, log));
    }
    chosen = next;
    last = next ?? last;
    return next?.id;
  };
  return {
    chosen: () => chosen,
    kept: async () => writing,
    choose,
    follow() {
      const told = order();
      if (told !== undefined && isFit(told)) choose();
    },
  };
}
