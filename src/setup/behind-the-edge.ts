// The steps that init and join share: puppetserver moves behind the edge, the daemon starts, this
// server gets its Puppet certificate. The edge starts while puppetserver is stopped: it holds
// agents' requests until puppetserver is back, so the move fails no run. The daemon comes after the
// move, or it would want the port, and sign, beside a stock puppetserver that a boot has started.

import { UNITS } from "../host/paths.ts";
import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { Done } from "./contract.ts";
import { Fault, isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { callDaemon } from "./daemon-client.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { Stage } from "../base/stages.ts";
import { LocalStatus } from "../cluster/status.ts";
import { makeFolder, readIfThere, writeFileAtomic } from "../host/files.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { isActive, journalTail, unit } from "../host/systemd.ts";
import { applyPuppetserver } from "../puppetserver/apply.ts";
import { observePuppetserver } from "../puppetserver/observe.ts";
import { keepBeside } from "../puppetserver/originals.ts";
import { planPuppetserver, type PuppetserverAction } from "../puppetserver/plan.ts";
import { startPuppetserver } from "../puppetserver/start.ts";
import { exportPkcs1, exportSpki, generateRsaKey, readPrivateKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { observeHostCertificate, staysAsItIs } from "./host-certificate.ts";
import { forgetStop, letAgentsIn, stopPuppetserver } from "./make-way.ts";
import type { SetupHost } from "./setup-host.ts";
import type { Step } from "./steps.ts";
import { readPuppetserverWish } from "./wish.ts";

const DAEMON_READY_MS = 60_000;
const EDGE_READY_MS = 60_000;
/** The edge looks at it once a second. */
const SEEN_MS = 10_000;
const CALL_MS = 60_000;

export const ServerCertificate = z.object({
  certificate: z.string(),
  bundle: z.string(),
  crl: z.string(),
});

/** All of them, in order. */
export function behindTheEdge(node: NodeFile, host: SetupHost): Step[] {
  return [...edgeTakesAgents(node, host), puppetserverStarts(node, host), FINISH];
}

/**
 * Until the edge takes agents: puppetserver doesn't run meanwhile. `names`: what this server's
 * certificate must be for.
 */
export function edgeTakesAgents(
  node: NodeFile,
  host: SetupHost,
  names: readonly string[] = [node.sharedName],
): Step[] {
  const steps: Step[] = [
    {
      title: "puppetserver moves behind the edge",
      run: (report) => moveBehind(node, host, report),
    },
    { title: "daemon", run: startDaemon },
    {
      title: "this server's Puppet certificate",
      run: () => ensureHostCertificate(node, host, names),
    },
  ];
  if (node.role === "server") {
    steps.push({ title: "edge takes agents", run: waitForEdge });
  }
  return steps;
}

/** Starts puppetserver, and on a server waits until its own edge sends it requests. */
export function puppetserverStarts(node: NodeFile, { layout }: SetupHost): Step {
  return {
    title: "puppetserver starts",
    always: true,
    run: async (report) => {
      await ensureStarted(layout.puppetserver.unit, report);
      return node.role === "server" ? seenByEdge(node) : undefined;
    },
  };
}

export const FINISH: Step = { title: "this server is a full member", run: finish };

async function startDaemon(): Promise<undefined> {
  await unit("enable", UNITS.daemon);
  await unit("start", UNITS.daemon);
  await until("the daemon answers", readLocal, { withinMs: DAEMON_READY_MS, everyMs: 200 });
  return undefined;
}

/**
 * Keeps a certificate that has all of `names` among its alt names, else has one signed for the same
 * key.
 */
async function ensureHostCertificate(
  node: NodeFile,
  host: SetupHost,
  names: readonly string[],
): Promise<string | undefined> {
  const key = await hostKey(host);
  if (staysAsItIs(await observeHostCertificate(host.layout), names)) return "kept";
  const request = createRequest({ commonName: node.id, key });
  const answer = await callDaemon("POST", "/v1/server-certificate", {
    body: { request },
    answer: ServerCertificate,
    withinMs: CALL_MS,
  });
  await writeHostFiles(host, answer);
  return `with ${names.join(", ")} among its names`;
}

/**
 * Puts the certificate, the CA bundle and the CRL where puppet looks for them; what stood there
 * before setup is kept beside.
 */
export async function writeHostFiles(
  host: SetupHost,
  files: z.infer<typeof ServerCertificate>,
): Promise<void> {
  const { layout, owners } = host;
  const owner = owners.puppet === undefined ? {} : { owner: owners.puppet };
  const wanted: [string, string][] = [
    [layout.localcacert, files.bundle],
    [layout.hostcrl, files.crl],
    [layout.hostcert, files.certificate],
  ];
  for (const [path, text] of wanted) {
    await makeFolder(dirname(path), { mode: 0o755 });
    const there = await readIfThere(path);
    if (there === text) continue;
    if (there !== undefined) await keepBeside(path);
    await writeFileAtomic(path, text, { mode: 0o644, ...owner });
  }
}

/** This server's Puppet key; made as puppet makes it where there is none. */
export async function hostKey(host: SetupHost) {
  const { layout, owners } = host;
  const kept = await readIfThere(layout.hostprivkey);
  if (kept !== undefined) return readPrivateKey(kept);
  const key = await generateRsaKey(4096);
  const owner = owners.puppet === undefined ? {} : { owner: owners.puppet };
  const folders = [layout.ssldir, dirname(layout.hostprivkey)];
  for (const folder of folders) await makeFolder(folder, { mode: 0o750, ...owner });
  await writeFileAtomic(layout.hostprivkey, exportPkcs1(key), { mode: 0o640, ...owner });
  // Puppet's own tools want both halves.
  const { publicKey, folder } = publicKeyPlace(layout);
  await makeFolder(folder, { mode: 0o755, ...owner });
  await writeFileAtomic(publicKey, exportSpki(key), { mode: 0o644, ...owner });
  return key;
}

/** Takes back what hostKey made. */
export async function removeHostKey({ layout }: SetupHost): Promise<void> {
  for (const path of [layout.hostprivkey, publicKeyPlace(layout).publicKey]) {
    await rm(path, { force: true });
  }
}

function publicKeyPlace(layout: PuppetLayout): { publicKey: string; folder: string } {
  const folder = join(layout.ssldir, "public_keys");
  return { folder, publicKey: join(folder, basename(layout.hostprivkey)) };
}

async function moveBehind(
  node: NodeFile,
  host: SetupHost,
  report: (detail: string) => void,
): Promise<string> {
  const { unit: name } = host.layout.puppetserver;
  const actions = await planMove(node, host);
  const writes = actions.filter((action) => action.do === "write");
  for (const action of writes) await applyPuppetserver(action, name);
  // What runs with the former listener holds port 8140, which the edge must take.
  if (actions.some((action) => action.do === "restart")) await stopPuppetserver(name, report);
  if (node.role !== "server") await letAgentsIn();
  if (writes.length === 0) return "it is there already";
  return `${writes.length} files changed, the former ones kept beside them`;
}

/** Lists what puppetserver's move behind the edge still lacks. */
export async function planMove(node: NodeFile, host: SetupHost): Promise<PuppetserverAction[]> {
  const wish = await readPuppetserverWish(node);
  return planPuppetserver(wish, await observePuppetserver(host.layout, wish.listener));
}

async function waitForEdge(): Promise<undefined> {
  await until("the edge takes agents", async () => (await readLocal())?.edge?.active, {
    withinMs: EDGE_READY_MS,
    everyMs: 200,
  });
  await letAgentsIn();
  return undefined;
}

async function ensureStarted(name: string, report: (detail: string) => void): Promise<void> {
  await unit("enable", name);
  if (!(await isActive(name))) {
    report("its first start takes half a minute and more");
    await startPuppetserver("start", name, report);
  }
  if (await isActive(name)) {
    await forgetStop();
    return;
  }
  throw new Fault("setup.puppetserver", `${name} doesn't start`, {
    hints: (await journalTail(name)).slice(-5),
  });
}

/** Waits until this server's edge sends requests to puppetserver; says so where it doesn't yet. */
async function seenByEdge({ id }: NodeFile): Promise<string | undefined> {
  let because = "the daemon doesn't say";
  const isSeen = async () => {
    // An edge calls a member's first puppetserver by the member's name.
    const own = (await readLocal())?.edge?.backends.find(({ name }) => name === id);
    if (own === undefined) return false;
    because = own.because === "" ? own.state : own.because;
    // What is drained calls itself unfit: status says why.
    return own.state === "up" || own.state === "drained";
  };
  try {
    await until("the edge sees puppetserver", isSeen, { withinMs: SEEN_MS, everyMs: 200 });
    return undefined;
  } catch (error) {
    if (!isFault(error, "base.deadline")) throw error;
    return `the edge gets no answer from it yet (${because}), look at: understudy status`;
  }
}

async function finish(_report: unknown, took: readonly Stage[]): Promise<undefined> {
  const body = { stages: took };
  await callDaemon("POST", "/v1/finish", { answer: Done, body, withinMs: CALL_MS });
  return undefined;
}

async function readLocal(): Promise<LocalStatus | undefined> {
  return callDaemon("GET", "/v1/local", { answer: LocalStatus }).catch(() => undefined);
}
