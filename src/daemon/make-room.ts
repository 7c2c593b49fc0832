// Has etcd's voters give back what they no longer need, by their members' names.

import { voterEndpoints } from "../cluster/view.ts";
import { makeRoom } from "../etcd/make-room.ts";
import type { RoomAnswer } from "../setup/contract.ts";
import { type Core, requireView } from "./core.ts";

/** For each question but the defragmentation itself. */
const ASK_MS = 5000;

export async function makeRoomEverywhere(core: Core): Promise<RoomAnswer> {
  const view = requireView(core);
  const nameOf = (endpoint: string) =>
    view.etcdMembers.find(({ clientUrls }) => clientUrls.includes(endpoint))?.name ?? endpoint;
  const made = await makeRoom(core.etcd, voterEndpoints(view, core.node.id), {
    withinMs: ASK_MS,
    onDone: ({ endpoint, ...bytes }) => {
      core.log.notice("etcd's database gave back what it didn't need", {
        voter: nameOf(endpoint),
        ...bytes,
      });
    },
  });
  return { voters: made.map(({ endpoint, ...bytes }) => ({ id: nameOf(endpoint), ...bytes })) };
}
