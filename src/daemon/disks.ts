// Looks at the disks of this member now and then, for its status: one that doesn't answer, as of a
// file server that is away, keeps nobody waiting but this loop.

import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { DiskStatus } from "../cluster/disk-status.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { readDisks } from "../host/disk.ts";
import { PATHS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";

const TICK_MS = 30_000;

export interface Disks {
  /** As of the last look. */
  status(): DiskStatus[];
  loop: Loop;
}

export function createDisks(host: {
  node: Pick<NodeFile, "role">;
  layout: Pick<PuppetLayout, "cadir" | "puppetserver">;
  log: Log;
  signal: AbortSignal;
}): Disks {
  const folders = foldersOf(host);
  let seen: DiskStatus[] = [];
  const loop = startLoop({
    name: "disks",
    everyMs: TICK_MS,
    log: host.log,
    signal: host.signal,
    body: async () => {
      seen = await readDisks(folders);
    },
  });
  return { status: () => seen, loop };
}

/** What is needed: our own state, etcd's data, the CA directory, what puppetserver writes. */
function foldersOf({ node, layout }: Parameters<typeof createDisks>[0]): string[] {
  const own = [PATHS.state, PATHS.etcd];
  if (node.role === "witness") return own;
  const { varDir } = layout.puppetserver;
  return node.role === "server" ? [...own, layout.cadir, varDir] : [...own, varDir];
}
