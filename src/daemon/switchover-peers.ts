// What another server does for a switchover, asked over the members' API.

import type { z } from "zod";
import type { Peers } from "../cluster/peer.ts";
import { Done } from "../setup/contract.ts";
import {
  type SwitchoverActs,
  SwitchoverLook,
  SwitchoverPhase,
  SwitchoverTheirs,
} from "../vip/switchover/acts.ts";

const LOOK_MS = 5000;
/** Longer than an act takes at most on its server. */
const ACT_MS = 30_000;

/** The acts of the server at `address`. */
export function peerActs(peers: Peers, address: string): SwitchoverActs {
  const ask = async <S extends z.ZodType>(
    path: string,
    answer: S,
    body?: unknown,
    withinMs = ACT_MS,
  ) =>
    peers.call(address, `/v1/switchover${path}`, {
      answer,
      withinMs,
      ...(body === undefined ? {} : { body }),
    });
  return {
    look: async () => ask("", SwitchoverLook, undefined, LOOK_MS),
    prepare: async (wish) => ask("/prepare", SwitchoverPhase, wish),
    handOver: async (id) => (await ask("/hand-over", SwitchoverTheirs, { id, side: "old" })).theirs,
    taken: async (id, theirs) => ask("/taken", SwitchoverPhase, { id, side: "new", theirs }),
    take: async (address) => {
      await ask("/take", Done, { address });
    },
    end: async (of) => {
      await ask("/end", Done, of);
    },
  };
}
