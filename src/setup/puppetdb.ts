// understudy puppetdb enable and disable, as steps that go on where they were interrupted. The
// order keeps agents' runs whole: puppetserver is told of the courier only when that runs and a
// PuppetDB answers, and untold before the courier stops.

import { join } from "node:path";
import { Fault, isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { ClusterStatus, LocalStatus } from "../cluster/status.ts";
import { allowlistIn, parseAllowlist } from "../courier/jetty-ini.ts";
import { changedMs, readIfThere } from "../host/files.ts";
import { PORTS, UNITS } from "../host/paths.ts";
import type { PuppetPlaces } from "../host/puppet-layout.ts";
import { isActive, journalTail, unit } from "../host/systemd.ts";
import { observePuppetserver, readStart } from "../puppetserver/observe.ts";
import { editFile } from "../puppetserver/originals.ts";
import { planPuppetserver } from "../puppetserver/plan.ts";
import { Done, PuppetdbMark } from "./contract.ts";
import { callDaemon } from "./daemon-client.ts";
import { type DatabasePlan, planDatabase, revertDatabase } from "./puppetdb-database.ts";
import {
  applyTerminus,
  type FileWish,
  findPuppetdb,
  type FoundPuppetdb,
  planJetty,
  planTerminus,
  requireTerminus,
  revertJetty,
  revertTerminus,
} from "./puppetdb-files.ts";
import type { Step } from "./steps.ts";
import { readPuppetserverWish } from "./wish.ts";

/** Debian's unit waits until PuppetDB answers, which takes half a minute and more. */
const PUPPETDB_START_MS = 320_000;
const COURIER_MS = 60_000;
const FIT_MS = 300_000;
/** puppetservers reload one after the other, each within its turn. */
const LOAD_MS = 900_000;
const DRAIN_MS = 120_000;
const ASK_MS = 15_000;

export interface PuppetdbHost {
  layout: PuppetPlaces;
  node: NodeFile;
}

/** What is so here, and what it is to become. */
export interface PuppetdbPlan {
  puppetdb: FoundPuppetdb | undefined;
  jetty: FileWish | undefined;
  database: DatabasePlan | undefined;
  /** Others than members that PuppetDB's own allowlist lets in. */
  clients: string[];
  /** Whether its database is every other PuppetDB's too; undefined: as before. */
  shared?: boolean | undefined;
  urls: string[];
  terminus: FileWish[];
}

/**
 * Reads everything and makes every text, so that what isn't understood is refused before anything
 * is changed. Throws Fault `puppetdb.…`, `puppetserver.config-unknown`.
 */
export async function planEnable(
  node: NodeFile,
  layout: PuppetPlaces,
  { without, shared }: { without: boolean; shared?: boolean | undefined },
): Promise<PuppetdbPlan> {
  if (node.role !== "server") {
    throw new Fault("puppetdb.not-a-server", `only servers run couriers: this is a ${node.role}`);
  }
  await requireTerminus();
  const puppetdb = without ? undefined : await findPuppetdb();
  const { members } = await callDaemon("GET", "/v1/status", {
    answer: ClusterStatus,
    withinMs: ASK_MS,
  });
  const servers = members.map(({ member }) => member).filter(({ role }) => role === "server");
  const urls = courierUrls(
    node.id,
    servers.map(({ id }) => id),
  );
  return {
    puppetdb,
    jetty: puppetdb && (await planJetty(puppetdb)),
    database: puppetdb && (await planDatabase(puppetdb)),
    shared,
    clients: puppetdb === undefined ? [] : await readAllowed(puppetdb),
    urls,
    terminus: await planTerminus(layout, urls),
  };
}

/** This server's courier, then that of the next server in the circle of all. */
export function courierUrls(own: string, servers: readonly string[]): string[] {
  const circle = [...new Set([...servers, own])].toSorted();
  const next = circle[(circle.indexOf(own) + 1) % circle.length] ?? own;
  return [...new Set([own, next])].map((id) => `https://${id}:${PORTS.courier}`);
}

/** What enabling would do, in lines. */
export function describeEnable(plan: PuppetdbPlan): string[] {
  const { puppetdb, jetty, database, urls, terminus } = plan;
  const own = [jetty, database?.wish].filter((wish) => wish !== undefined);
  const acts = [
    ...[...own, ...terminus].map(({ path, because }) => `edit ${path}: ${because}`),
    ...(own.length === 0 ? [] : [`restart ${puppetdb?.unit ?? ""}: half a minute and more`]),
    puppetdb === undefined
      ? "bring commands to the other servers' PuppetDBs: this server has none"
      : "bring commands to this server's PuppetDB, from every server",
    `run the courier as ${UNITS.courier}, ports ${PORTS.courier} and ${PORTS.courierPeer}`,
    ...(terminus.length === 0 ? [] : ["have puppetserver reload, in its turn among the servers"]),
  ];
  return [
    `puppetserver is to use ${urls.join(", then ")}. It would:`,
    ...acts.map((act, index) => `${String(index + 1).padStart(3)}. ${act}`),
    "Each file is kept beside as FILE.before-understudy. Nothing was changed.",
  ];
}

/** The steps of `puppetdb enable`. `onMark` is told what this server's PuppetDB does from now on. */
export function enableSteps(
  host: PuppetdbHost,
  plan: PuppetdbPlan,
  onMark: (mark: PuppetdbMark) => void,
): Step[] {
  const { puppetdb, clients, database, shared } = plan;
  const own: Step[] =
    puppetdb === undefined
      ? []
      : [{ title: "PuppetDB lets go of its port and of expiry", run: async () => letGo(puppetdb) }];
  const starts: Step[] =
    puppetdb === undefined
      ? []
      : [{ title: "PuppetDB runs", run: async (report) => startPuppetdb(puppetdb, report) }];
  return [
    ...own,
    {
      title: "the courier runs",
      run: async () => {
        const { nodeTtlS } = database ?? {};
        const own = { puppetdb: puppetdb !== undefined, shared };
        const body = { courier: true, ...own, clients, nodeTtlS };
        onMark(await callDaemon("POST", "/v1/puppetdb", { body, answer: PuppetdbMark }));
        await untilCourier(true);
        return `port ${PORTS.courier}`;
      },
    },
    ...starts,
    { title: "a PuppetDB answers queries", run: untilFit },
    {
      title: "puppetserver's files",
      run: async () => {
        const wishes = await planTerminus(host.layout, plan.urls);
        await applyTerminus(host.layout, wishes);
        return wishes.length === 0 ? "as they are to be already" : `${wishes.length} changed`;
      },
    },
    { title: "puppetserver uses it", run: async (report) => untilLoaded(host, report) },
  ];
}

/** The steps of `puppetdb disable`. `force`: also with commands that aren't everywhere yet. */
export function disableSteps(host: PuppetdbHost, force: boolean): Step[] {
  return [
    {
      title: "puppetserver's files",
      run: async () => ((await revertTerminus(host.layout)) ? "put back" : "as they were already"),
    },
    { title: "puppetserver uses PuppetDB no more", run: async (r) => untilLoaded(host, r) },
    { title: "its commands are in every PuppetDB", run: async () => untilDrained(force) },
    {
      title: "the courier is stopped",
      run: async () => {
        const body = { courier: false, puppetdb: false, clients: [] };
        await callDaemon("POST", "/v1/puppetdb", { body, answer: PuppetdbMark });
        await untilCourier(false);
        return undefined;
      },
    },
    { title: "PuppetDB's own files", run: async () => givePuppetdbBack() },
  ];
}

/**
 * Puts PuppetDB's files back, and restarts it where it runs; with `noBlock` nobody waits for its
 * start, which lasts minutes where its database is away.
 */
export async function givePuppetdbBack({ root = "/", noBlock = false } = {}): Promise<
  string | undefined
> {
  const puppetdb = await findPuppetdb(root);
  if (puppetdb === undefined) return "there is none here";
  const changed = [await revertJetty(puppetdb), await revertDatabase(puppetdb)];
  if (!changed.includes(true)) return "as it was already";
  await unit("try-restart", puppetdb.unit, { withinMs: PUPPETDB_START_MS, noBlock });
  return "put back";
}

async function readAllowed({ confD }: FoundPuppetdb): Promise<string[]> {
  for (const name of ["puppetdb.ini", "config.ini"]) {
    const path = allowlistIn((await readIfThere(join(confD, name))) ?? "");
    if (path !== undefined) return parseAllowlist((await readIfThere(path)) ?? "");
  }
  return [];
}

/** Edits its files, and stops a PuppetDB that runs with the former ones. */
async function letGo(puppetdb: FoundPuppetdb): Promise<string | undefined> {
  const database = await planDatabase(puppetdb);
  for (const wish of [await planJetty(puppetdb), database.wish]) {
    if (wish !== undefined) await editFile(wish.path, wish.text);
  }
  const startedMs = await readStart(puppetdb.unit);
  if (startedMs === undefined) return undefined;
  const edited = [join(puppetdb.confD, "jetty.ini"), database.path].map(changedMs);
  const editedMs = (await Promise.all(edited)).map((ms) => ms ?? 0);
  if (startedMs > Math.max(...editedMs)) return "it has already";
  await unit("stop", puppetdb.unit);
  return "stopped for a moment";
}

async function startPuppetdb(
  { unit: name }: FoundPuppetdb,
  report: (detail: string) => void,
): Promise<undefined> {
  await unit("enable", name);
  if (await isActive(name)) return undefined;
  report("its start takes half a minute and more");
  await unit("start", name, { withinMs: PUPPETDB_START_MS }).catch(() => undefined);
  if (await isActive(name)) return undefined;
  throw new Fault("puppetdb.not-started", `${name} doesn't start`, {
    hints: (await journalTail(name)).slice(-5),
  });
}

async function readCourier(): Promise<LocalStatus["courier"]> {
  return (await callDaemon("GET", "/v1/local", { answer: LocalStatus })).courier;
}

async function untilCourier(runs: boolean): Promise<void> {
  const isSo = async () => ((await readCourier())?.runs ?? false) === runs;
  try {
    await until("the courier", isSo, { withinMs: COURIER_MS, everyMs: 500 });
  } catch (error) {
    if (!isFault(error, "base.deadline")) throw error;
    const what = runs ? "doesn't run" : "isn't stopped";
    throw new Fault("puppetdb.courier", `the courier ${what}`, {
      hints: [
        (await readCourier())?.because ?? "",
        ...(await journalTail(UNITS.courier)).slice(-5),
        `Who has port ${PORTS.courier}? ss -ltnp`,
      ].filter((line) => line !== ""),
    });
  }
}

async function untilFit(report: (detail: string) => void): Promise<string | undefined> {
  let because: string[] = [];
  const fit = async () => {
    const puppetdbs = (await readCourier())?.puppetdbs ?? [];
    because = puppetdbs.map((each) => `${each.id}: ${each.because}`);
    return puppetdbs.find((each) => each.fit)?.id;
  };
  if ((await fit()) === undefined) report("a PuppetDB that starts takes a while");
  try {
    return await until("a PuppetDB that is fit", fit, { withinMs: FIT_MS, everyMs: 1000 });
  } catch (error) {
    if (!isFault(error, "base.deadline")) throw error;
    throw new Fault(
      "puppetdb.none-fit",
      "no PuppetDB answers queries: puppetserver isn't changed",
      {
        hints: because.length === 0 ? ["No server has a PuppetDB: install one first."] : because,
      },
    );
  }
}

/** Waits until puppetserver has loaded its files; one that doesn't run reads them at its start. */
async function untilLoaded(
  { layout, node }: PuppetdbHost,
  report: (detail: string) => void,
): Promise<string | undefined> {
  const wish = await readPuppetserverWish(node);
  const isLoaded = async () => {
    const actions = planPuppetserver(wish, await observePuppetserver(layout, wish.listener));
    return actions.every((action) => action.do !== "reload");
  };
  if (await isLoaded()) return "it has loaded its files";
  report("it reloads in its turn, when its compiles have ended: some minutes at most");
  await callDaemon("POST", "/v1/puppetserver/load", { body: {}, answer: Done });
  await until("puppetserver has reloaded", isLoaded, { withinMs: LOAD_MS, everyMs: 1000 });
  return undefined;
}

async function untilDrained(force: boolean): Promise<string | undefined> {
  const waiting = await drainCourier(force ? 0 : DRAIN_MS);
  if (waiting.length === 0) return undefined;
  if (force) return `not waited for: ${waiting.join(", ")}`;
  throw new Fault("puppetdb.not-drained", "commands of this courier aren't in every PuppetDB", {
    hints: [...waiting, "When they come back: the same command. To lose them: --force"],
  });
}

/** Waits until all that this server's courier took is in every PuppetDB; says what isn't. */
export async function drainCourier(withinMs: number): Promise<string[]> {
  let waiting: string[] = [];
  const drained = async () => {
    const courier = await readCourier();
    if (courier === undefined) return true;
    const behind = courier.puppetdbs.filter(({ commands }) => commands > 0);
    waiting = behind.map(({ id, commands }) => `${id} lacks ${commands} commands`);
    if (!courier.runs) waiting.push(`the courier doesn't run: ${courier.because}`);
    return waiting.length === 0;
  };
  try {
    await until("its commands", drained, { withinMs, everyMs: 500 });
    return [];
  } catch (error) {
    if (isFault(error, "base.deadline")) return waiting;
    throw error;
  }
}
