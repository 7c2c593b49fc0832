// understudy leave: this server goes out of its cluster in order. The cluster forgets it first,
// while it still may ask for that; then its units stop, Puppet's files are put back, and its keys
// are deleted.

import { rm } from "node:fs/promises";
import { ETCD_UNIT } from "../cluster/own-etcd.ts";
import { removePki } from "../cluster/pki-store.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { PATHS } from "../host/paths.ts";
import { readPuppetLayout } from "../host/puppet-layout.ts";
import { isActive, unit } from "../host/systemd.ts";
import { revertPuppetserver } from "../puppetserver/apply.ts";
import { observePuppetserver } from "../puppetserver/observe.ts";
import { planRevert } from "../puppetserver/plan.ts";
import { RemovalDone, RemovalPlan } from "./contract.ts";
import { callDaemon } from "./daemon-client.ts";
import { rememberRemoval } from "./stand-down.ts";
import { puppetserverWish } from "./wish.ts";
import { Fault, isFault } from "../base/fault.ts";

const LEAVE_MS = 180_000;

/** Our units, in the order in which they stop: the address moves first, the record goes last. */
const UNITS = [
  "understudy-vip.service",
  "understudy-edge.service",
  "understudy.service",
  "understudy-files.service",
  "understudy-files.socket",
  ETCD_UNIT,
];

/** Leaves the cluster. Returns the lines that say what is so now. */
export async function leave(talk: {
  confirm(plan: string[], id: string): Promise<void>;
  progress(line: string): void;
}): Promise<string[]> {
  const node = await requireNodeFile();
  const { id } = node;
  if (node.phase === "removed") {
    await talk.confirm(
      [`${id} was removed from ${node.sharedName}: only its own files are left.`],
      id,
    );
    return finish(node, (line) => talk.progress(line));
  }
  const plan = await callDaemon("POST", "/v1/members/removal-plan", {
    body: { id },
    answer: RemovalPlan,
  });
  if (plan.refused !== "") throw new Fault("member.remove-refused", plan.refused);
  await talk.confirm(plan.lines, id);
  for (const line of await askOut()) talk.progress(` ✓ ${line}`);
  // From here on this command is finished by repeating it, whatever interrupts it.
  await rememberRemoval();
  return finish(node, (line) => talk.progress(line));
}

/** Has the others remove this member; returns what they did. */
async function askOut(): Promise<string[]> {
  try {
    const options = { body: {}, answer: RemovalDone, withinMs: LEAVE_MS };
    return (await callDaemon("POST", "/v1/leave", options)).lines;
  } catch (error) {
    // The daemon may hear of its removal, and stand down, before it can pass on the answer.
    if (isFault(error, "member.removed")) return [];
    throw error;
  }
}

async function finish(node: NodeFile, progress: (line: string) => void): Promise<string[]> {
  await release((line) => progress(` ✓ ${line}`));
  const { puppetserver } = await readPuppetLayout();
  await unit("disable", puppetserver.unit);
  return [
    `This server has left ${node.sharedName}.`,
    "Puppet Server has its former configuration. It is stopped, and doesn't start at boot.",
    "Its CA directory was left as it was: two CAs of one name must not both sign.",
  ];
}

/**
 * Stops our units, puts Puppet's files back, deletes our keys. Also when the package is removed.
 */
export async function release(progress: (line: string) => void): Promise<void> {
  const node = await requireNodeFile();
  const layout = await readPuppetLayout();
  const { unit: puppetserver } = layout.puppetserver;
  for (const name of UNITS) {
    if (await isActive(name)) await unit("stop", name);
    await unit("disable", name).catch(() => undefined);
  }
  progress("our units are stopped");
  if (await isActive(puppetserver)) await unit("stop", puppetserver);
  const wish = puppetserverWish(node.sharedName);
  const observed = await observePuppetserver(layout, wish.listener);
  for (const action of planRevert(wish, observed)) await revertPuppetserver(action);
  progress("puppetserver has its former configuration");
  await removePki();
  for (const path of [
    PATHS.nodeFile,
    PATHS.viewFile,
    PATHS.etcd,
    PATHS.edge,
    PATHS.vip,
    PATHS.journal,
  ]) {
    await rm(path, { recursive: true, force: true });
  }
  progress("this cluster's keys are deleted here");
}
