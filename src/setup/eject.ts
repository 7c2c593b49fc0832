// understudy eject, as steps. Nobody signs between the first and the third, so an interruption goes
// on to the end; a killed one is repeated, and finds what is done.

import { join } from "node:path";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { readHandedOver } from "../ca/handed-over.ts";
import { leafHostname } from "../cluster/pki.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { ClusterStatus } from "../cluster/status.ts";
import { readIfThere } from "../host/files.ts";
import { PORTS } from "../host/paths.ts";
import { isActive, journalTail, unit } from "../host/systemd.ts";
import { applyPuppetserver } from "../puppetserver/apply.ts";
import { caServiceOn } from "../puppetserver/ca-cfg.ts";
import { observePuppetserver } from "../puppetserver/observe.ts";
import { planPuppetserver } from "../puppetserver/plan.ts";
import { startPuppetserver } from "../puppetserver/start.ts";
import { stockCaRuns } from "../puppetserver/stock-ca.ts";
import { planMove } from "./behind-the-edge.ts";
import { EndedAnswer, HandedOverAnswer } from "./contract.ts";
import { callDaemon } from "./daemon-client.ts";
import { notFollowing, requireWholeCrl } from "./eject-plan.ts";
import type { SetupHost } from "./setup-host.ts";
import type { Step } from "./steps.ts";
import { puppetserverWish } from "./wish.ts";

/** The directory is compared whole: some seconds for each 10,000 certificates. */
const DIRECTORY_MS = 600_000;
const PUPPETSERVER_READY_MS = 600_000;
const FOLLOW_MS = 60_000;
const LOOK_MS = 500;

/** What came of it. */
export interface EjectOutcome {
  ended?: EndedAnswer;
  handedOver?: HandedOverAnswer;
  /** Servers that couldn't be told yet. */
  unconfirmed: string[];
}

/**
 * Throws Fault `puppetserver.config-unknown` where puppetserver's CA service couldn't be turned on,
 * `eject.infra-crl`, `ca.conf` where it couldn't be followed: before anything is changed.
 */
export async function requireFit(node: NodeFile, { layout }: SetupHost): Promise<void> {
  requireWholeCrl(await readIfThere(join(layout.puppetserver.confD, "ca.conf")));
  const wish = puppetserverWish(node.sharedName);
  const observed = await observePuppetserver(layout, wish.listener);
  planPuppetserver({ ...wish, stockCa: "here" }, observed);
}

/** Whether all is done here: the directory is stock's, and its CA service on and answering. */
export async function isEjected(node: NodeFile, { layout }: SetupHost): Promise<boolean> {
  if ((await readHandedOver(node.clusterId)) === undefined) return false;
  const wish = puppetserverWish(node.sharedName);
  const { ca } = await observePuppetserver(layout, wish.listener);
  return caServiceOn(ca.text) && (await ownCaRuns(node));
}

/** The steps; what they come to is put into `outcome`. */
export function ejectSteps(
  node: NodeFile,
  host: SetupHost,
  alone: boolean,
  outcome: EjectOutcome,
): Step[] {
  return [
    {
      title: alone ? "this server signs no more" : "no server of the cluster signs any more",
      run: async () => {
        await requireFit(node, host);
        const options = { body: { alone }, answer: EndedAnswer, withinMs: DIRECTORY_MS };
        outcome.ended = await callDaemon("POST", "/v1/eject", options);
        return outcome.ended.before ? `since ${outcome.ended.at}` : undefined;
      },
    },
    {
      title: "the CA directory is stock Puppet Server's",
      always: true,
      run: async (report) => {
        report(
          "it is compared with all that was issued: some seconds for each 10,000 certificates",
        );
        const options = { body: { alone }, answer: HandedOverAnswer, withinMs: DIRECTORY_MS };
        outcome.handedOver = await callDaemon("POST", "/v1/eject/hand-over", options);
        const { serialNext, crlNumber } = outcome.handedOver;
        return `next serial 0x${serialNext.toString(16).toUpperCase().padStart(4, "0")}, CRL ${crlNumber}`;
      },
    },
    {
      title: "puppetserver has the CA",
      always: true,
      run: async (report) =>
        turnOn(node, host, report).catch((error: unknown) => {
          throw error instanceof Fault ? error : notOn(messageOf(error), []);
        }),
    },
    {
      title: "the servers ask it",
      always: true,
      run: async () => {
        outcome.unconfirmed = await waitForServers(node.id);
        const { length } = outcome.unconfirmed;
        return length === 0 ? undefined : `not yet: ${outcome.unconfirmed.join(", ")}`;
      },
    },
  ];
}

/** Turns the CA service on, by a restart; the edge sends requests elsewhere, or has them wait. */
async function turnOn(
  node: NodeFile,
  host: SetupHost,
  report: (detail: string) => void,
): Promise<string | undefined> {
  const { unit: name } = host.layout.puppetserver;
  const actions = await planMove(node, host);
  for (const action of actions) if (action.do === "write") await applyPuppetserver(action, name);
  if (actions.some(({ do: what }) => what === "restart") || !(await isActive(name))) {
    report("puppetserver restarts: half a minute and more");
    await unit("enable", name);
    await startPuppetserver("restart", name, report).catch(() => undefined);
  }
  try {
    const ready = { withinMs: PUPPETSERVER_READY_MS, everyMs: LOOK_MS };
    await until("its CA answers", async () => (await failed(name)) || ownCaRuns(node), ready);
  } catch (error) {
    if (!isFault(error, "base.deadline")) throw error;
  }
  if (await ownCaRuns(node)) return undefined;
  throw notOn(`${name} doesn't answer`, (await journalTail(name)).slice(-5));
}

function notOn(because: string, lines: string[]): Fault {
  return new Fault(
    "eject.puppetserver",
    `puppetserver's CA isn't on, so nobody signs: ${because}`,
    {
      hints: [...lines, "When that is mended, the same command goes on."],
    },
  );
}

async function failed(name: string): Promise<boolean> {
  return !(await isActive(name));
}

async function ownCaRuns({ id, address }: NodeFile): Promise<boolean> {
  const { ca, cert, key } = await readLeaf("edge");
  const serverName = leafHostname("listener", id);
  return stockCaRuns({ address, port: PORTS.puppetserver, serverName, ca, cert, key });
}

/**
 * Waits until the edge of every server that answers sends CA requests to `to`; returns those that
 * don't say so, silent ones too.
 */
async function waitForServers(to: string): Promise<string[]> {
  let missing = [to];
  const all = async () => {
    const options = { answer: ClusterStatus, withinMs: FOLLOW_MS };
    const status = await callDaemon("GET", "/v1/status", options).catch(() => undefined);
    if (status === undefined) return false;
    missing = notFollowing(status, to);
    const silent = status.members.filter(({ local }) => local === undefined);
    return missing.every((id) => silent.some(({ member }) => member.id === id));
  };
  await until("the servers ask it", all, { withinMs: FOLLOW_MS, everyMs: LOOK_MS }).catch(
    (error: unknown) => {
      if (!isFault(error, "base.deadline")) throw error;
    },
  );
  return missing;
}
