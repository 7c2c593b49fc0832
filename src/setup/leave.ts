// understudy leave: this server goes out of its cluster in order. Agents' running requests end and
// the address goes to another, new connections wait; then the cluster forgets it, while it still
// may ask for that; then its units stop, Puppet's files are put back, and its keys are deleted. Its
// node file goes last: as long as it is there, the same command goes on.

import { rm } from "node:fs/promises";
import type { z } from "zod";
import { forgetHandedOver } from "../ca/handed-over.ts";
import { raiseSerialFile } from "../ca/serial-file.ts";
import { removePki } from "../cluster/pki-store.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { LocalStatus } from "../cluster/status.ts";
import { PATHS } from "../host/paths.ts";
import { findPuppet, type PuppetPlaces, readPuppetLayout } from "../host/puppet-layout.ts";
import { unit, unitState } from "../host/systemd.ts";
import { revertPuppetserver } from "../puppetserver/apply.ts";
import { observePuppetserver } from "../puppetserver/observe.ts";
import { planRevert, type PuppetserverDesired } from "../puppetserver/plan.ts";
import { Done, RemovalDone, RemovalPlan } from "./contract.ts";
import { callDaemon } from "./daemon-client.ts";
import { letAgentsIn } from "./make-way.ts";
import { sendAgentsAway } from "./send-away.ts";
import { drainCourier, givePuppetdbBack } from "./puppetdb.ts";
import { revertTerminus } from "./puppetdb-files.ts";
import { readSetupHost } from "./setup-host.ts";
import { OUR_UNITS, rememberRemoval, SWITCHOVERS } from "./stand-down.ts";
import { tellPlanning } from "./tell-planning.ts";
import { readPuppetserverWish } from "./wish.ts";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import { until } from "../base/retry.ts";

const LEAVE_MS = 300_000;
/** How long the address may take to go to another server. */
const ADDRESS_MS = 30_000;
const LOOK_MS = 300;
/** How long its courier may take to bring its last commands; what is left has copies elsewhere. */
const COMMANDS_MS = 10_000;

export interface Left {
  lines: string[];
  /** What the others did; undefined when they had done it before. */
  removal?: z.infer<typeof RemovalDone>;
}

/** Leaves the cluster. Returns what is so now. */
export async function leave(talk: {
  confirm(plan: string[], id: string): Promise<void>;
  progress(line: string): void;
}): Promise<Left> {
  const node = await requireNodeFile();
  const { id } = node;
  if (node.phase === "removed") {
    await talk.confirm(
      [`${id} was removed from ${node.sharedName}: only its own files are left.`],
      id,
    );
    return { lines: await finish(node, (line) => talk.progress(line)) };
  }
  const plan = await callDaemon("POST", "/v1/leave/plan", { body: {}, answer: RemovalPlan });
  if (plan.refused !== "") throw new Fault("member.remove-refused", plan.refused);
  await talk.confirm(plan.lines, id);
  try {
    await sendAgentsElsewhere(node, (line) => talk.progress(line));
    for (const left of await drainCourier(COMMANDS_MS).catch(() => [])) {
      talk.progress(` ! not every command of its courier is everywhere: ${left}`);
    }
    const removal = await tellPlanning(askOut(), (text) => talk.progress(text));
    for (const line of removal?.lines ?? []) talk.progress(` ✓ ${line}`);
    // From here on this command is finished by repeating it, whatever interrupts it.
    await rememberRemoval();
    const lines = await finish(node, (line) => talk.progress(line));
    return { lines, ...(removal && { removal }) };
  } finally {
    await letAgentsIn();
  }
}

/**
 * Ends what agents have running here, holds new connections, then gives the addresses up. From here
 * on the record says that this member is leaving, so the other edges pass its puppetserver by.
 */
async function sendAgentsElsewhere(
  node: NodeFile,
  progress: (line: string) => void,
): Promise<void> {
  const start = async () => callDaemon("POST", "/v1/leave/start", { body: {}, answer: Done });
  if (node.role !== "server") {
    await start();
    return;
  }
  const open = await sendAgentsAway();
  progress(open === "" ? " ✓ agents' requests here have ended, new ones wait" : ` ! ${open}`);
  const held = await addressesHere();
  await start();
  if (held.length === 0) return;
  if (await addressesMoved()) progress(` ✓ another server has ${held.join(", ")}`);
  else progress(" ! no other server takes the addresses: they go with this one");
}

async function addressesHere(): Promise<string[]> {
  return (await callDaemon("GET", "/v1/local", { answer: LocalStatus })).addresses;
}

async function addressesMoved(): Promise<boolean> {
  const none = async () => (await addressesHere()).length === 0;
  return until("the addresses move", none, { withinMs: ADDRESS_MS, everyMs: LOOK_MS }).catch(
    (error: unknown) => {
      if (isFault(error, "base.deadline")) return false;
      throw error;
    },
  );
}

/** Has the others remove this member; returns what they did, if they could say it. */
async function askOut(): Promise<z.infer<typeof RemovalDone> | undefined> {
  try {
    const options = { body: {}, answer: RemovalDone, withinMs: LEAVE_MS };
    return await callDaemon("POST", "/v1/leave", options);
  } catch (error) {
    // The daemon may hear of its removal, and stand down, before it can pass on the answer.
    if (isFault(error, "member.removed")) return undefined;
    throw error;
  }
}

async function finish(node: NodeFile, progress: (line: string) => void): Promise<string[]> {
  // Before its files are reverted: with them it would be a CA of its own after a power cut.
  const { puppetserver } = await findPuppet();
  await unit("disable", puppetserver.unit);
  const problems = await release((line) => progress(` ✓ ${line}`));
  return [
    ...problems,
    `This server has left ${node.sharedName}.`,
    "Puppet Server has its former configuration. It is stopped, and doesn't start at boot.",
    "Its CA directory stays where it is: two CAs of one name must not both sign.",
  ];
}

/**
 * Stops our units, puts Puppet's files back, deletes our keys. Also when the package is removed.
 * Returns in words what is left to be careful with.
 */
export async function release(progress: (line: string) => void): Promise<string[]> {
  const node = await requireNodeFile();
  const layout = await findPuppet();
  const { unit: puppetserver } = layout.puppetserver;
  for (const name of SWITCHOVERS) await stopWhole(name);
  for (const name of OUR_UNITS) {
    await stopWhole(name);
    await unit("disable", name).catch(() => undefined);
  }
  progress("our units are stopped");
  await stopWhole(puppetserver);
  const puppetdb = await releasePuppetdb(layout, progress);
  const wish = await readPuppetserverWish(node);
  const observed = await observePuppetserver(layout, wish.listener);
  for (const action of planRevert(wish, observed)) await revertPuppetserver(action);
  progress("puppetserver has its former configuration");
  const ca = node.role === "server" ? await settleCa(wish, progress) : [];
  const problems = [...puppetdb, ...ca];
  await removePki();
  await forgetHandedOver();
  // The node file is the last: without it nobody would know that there is something to finish.
  const { viewFile, accessFile, alertSecretsFile, alertsFile, isolatedEdgeWaits } = PATHS;
  const { etcd, edge, vip, journal, history, nodeFile } = PATHS;
  // What its courier took has copies at the others', which deliver it from now on. Its spool stays:
  // a server that joins anew goes on with it.
  const courier = [PATHS.courierConfig];
  for (const path of [
    viewFile,
    accessFile,
    alertSecretsFile,
    alertsFile,
    isolatedEdgeWaits,
    etcd,
    edge,
    vip,
    journal,
    history,
    ...courier,
    nodeFile,
  ]) {
    await rm(path, { recursive: true, force: true });
  }
  progress("this cluster's keys are deleted here");
  return problems;
}

/** What becomes of the CA directory: stock's own is left alone, also one that is somewhere else. */
async function settleCa(
  { stockCa }: PuppetserverDesired,
  progress: (line: string) => void,
): Promise<string[]> {
  if (stockCa === "here") return [];
  if (stockCa === undefined) return raiseSerials(progress);
  return [
    "The CA is on another server: puppetserver's CA service stays off here, and its CA directory is an old copy.",
  ];
}

/** What can't be put back is told, and keeps nothing else from being. */
async function releasePuppetdb(
  layout: PuppetPlaces,
  progress: (line: string) => void,
): Promise<string[]> {
  try {
    if (await revertTerminus(layout)) progress("puppetserver uses PuppetDB as before");
    // puppetserver's own files come next, and the package's removal has its time limit.
    await givePuppetdbBack({ noBlock: true });
    return [];
  } catch (error) {
    return [
      `PuppetDB's files aren't all as before, compare FILE.before-understudy: ${messageOf(error)}`,
    ];
  }
}

/** Stock Puppet that signs here later must give no serial that the cluster has given. */
async function raiseSerials(progress: (line: string) => void): Promise<string[]> {
  try {
    const layout = await readPuppetLayout();
    const { owners } = await readSetupHost(layout);
    await raiseSerialFile({ cadir: layout.cadir, owner: owners.puppet });
    progress("its CA's next serial is above all that the cluster has given");
    return [];
  } catch (error) {
    return [
      `Have nothing signed here before the CA's serial file is above its whole inventory: ${messageOf(error)}`,
    ];
  }
}

/** Stops a unit, also one that is still starting: it would run on under other files. */
async function stopWhole(name: string): Promise<void> {
  if ((await unitState(name)).loaded) await unit("stop", name);
}
