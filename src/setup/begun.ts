// What an interrupted setup has left here, and which command may go on with it. Danger: init goes
// on with CAs of its own, join with another cluster's: the wrong one would overwrite what the other
// made, certificates and a Puppet CA among it. So each goes on only with what is surely its own.

import { Fault } from "../base/fault.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { clientUrl } from "../etcd/server.ts";
import { removedFault } from "./stand-down.ts";

/** What is here besides the node file: hashes of control CAs (authorityHash). */
export interface LeftHere {
  /** Of the one that this server's own certificates are checked by. */
  controlCa: string | undefined;
  /** Of the one whose key is here: the last thing that a server's join brings. */
  authority: string | undefined;
}

export interface JoinBegun {
  /** An interrupted join of the token's cluster goes on: programs of ours may hold their ports. */
  resumed: boolean;
  /** It has the CAs' keys already, so the CA directory here is the cluster's. */
  caIsOurs: boolean;
}

/** Which command wrote the file. Before it was written down, init's named its own etcd only. */
export function startedBy(kept: NodeFile): "init" | "join" {
  if (kept.startedBy !== undefined) return kept.startedBy;
  return kept.etcdEndpoints.join() === clientUrl(kept.address) ? "init" : "join";
}

/**
 * Whether a join as `id` of the cluster with `caHash` begins here or goes on. Throws the Fault that
 * refuses it; nothing has been sent by then.
 */
export function decideJoin(
  kept: NodeFile | undefined,
  left: LeftHere,
  wish: { id: string; caHash: string },
): JoinBegun {
  if (kept === undefined) return { resumed: false, caIsOurs: false };
  refuseMember(kept, wish.id, "To take it out: understudy leave");
  refuseOther(kept, "join");
  if (left.controlCa !== wish.caHash) {
    throw new Fault(
      "join.other-cluster",
      `a join of ${kept.sharedName} was begun here, and the token is of another cluster`,
      { hints: [...finishJoin(kept), ...anewAfterJoin(kept)] },
    );
  }
  return { resumed: true, caIsOurs: left.authority === wish.caHash };
}

/** Refuses where `kept` is of a whole member, or of one with another name, or was removed. */
export function refuseMember(kept: NodeFile, id: string, hint: string): void {
  if (kept.phase === "removed") throw removedFault(kept);
  if (kept.phase === "setup" && kept.id === id) return;
  throw new Fault(
    "setup.already-member",
    `this server is ${kept.id} of ${kept.sharedName} already`,
    { hints: ["What is so: understudy status", hint] },
  );
}

/** Refuses `command` where the other one was begun. Throws Fault `setup.other-command`. */
export function refuseOther(kept: NodeFile, command: "init" | "join"): void {
  const begun = startedBy(kept);
  if (begun === command) return;
  throw new Fault(
    "setup.other-command",
    `${begun === "init" ? "an init" : "a join"} of ${kept.sharedName} was begun here, and isn't finished`,
    {
      hints:
        begun === "init"
          ? [
              `To finish it: understudy init --name ${kept.sharedName}, with the options it had`,
              "To join another cluster instead: apt-get remove understudy, then install it again",
            ]
          : [...finishJoin(kept), ...anewAfterJoin(kept)],
    },
  );
}

function finishJoin({ sharedName }: NodeFile): string[] {
  return [`To finish it: the same understudy join, with its token of ${sharedName}`];
}

function anewAfterJoin({ id, sharedName }: NodeFile): string[] {
  return [
    `To begin anew: on a server of ${sharedName}, understudy member remove ${id};`,
    "  here, apt-get remove understudy, then install it again",
  ];
}
