// The courier as a process: its configuration, its certificates, its doors. What it is told changes
// with a restart only; certificates and CRLs are taken as they come.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Server } from "node:http";
import { createSecureContext } from "node:tls";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { decodePem, encodePem } from "../x509/pem.ts";
import { createClientDoor } from "./client-door.ts";
import { type CourierConfig, readCourierConfig } from "./config.ts";
import { type CourierDeps, readPeerTls, startCourier } from "./courier.ts";
import { expireNodes } from "./expire.ts";
import { closeDoors, createStatusDoor, farewellOf, openDoor, placeOf, renewalOf } from "./doors.ts";
import { createPeerDoor } from "./peer-door.ts";

const FILES_EVERY_MS = 2000;

/**
 * Runs the courier that the file at `path` describes until `signal` aborts. `onReady` is called
 * when all doors are open. Throws Fault `courier.config`, `courier.spool-…`, or why it can't
 * listen.
 */
export async function runCourier(
  path: string,
  deps: { log: Log; signal: AbortSignal; onReady: () => void },
): Promise<void> {
  const { log, signal } = deps;
  const loaded = hashOf(await readFile(path, "utf8"));
  const config = await readCourierConfig(path);
  const tls = await readAllTls(config);
  const courier = await startCourier(config, {
    log,
    peerTls: tls.outgoing,
    puppetTls: tls.puppet,
  });
  const client = createClientDoor(courier, { ...tls.client, allow: config.allow, log });
  const peer = createPeerDoor(courier, { ...tls.peer, log });
  const [renewClient, renewPeer] = [renewalOf(client), renewalOf(peer)];
  const farewell = farewellOf(client);
  const status = createStatusDoor(courier, loaded);
  const doors: Server[] = [];
  try {
    for (const [name, door] of [
      ["client", client],
      ["peer", peer],
      ["status", status],
    ] as const) {
      await openDoor(door, placeOf(name, config));
      doors.push(door);
    }
    log.info("the courier takes commands", { port: config.listen.port });
    deps.onReady();
    const take = (files: AllTls) => {
      renewClient(files.client);
      renewPeer(files.peer);
      Object.assign(tls.outgoing, files.outgoing);
      Object.assign(tls.puppet, files.puppet);
    };
    const expiry = expireNodes(courier, config, { log, signal });
    await followFiles(config, tls, take, { log, signal });
    await expiry;
  } finally {
    if (doors.includes(client)) await farewell();
    await closeDoors(doors);
    await courier.close();
    for (const door of doors) door.closeAllConnections();
  }
}

/** How a status tells which configuration was read. */
export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

interface AllTls {
  client: { cert: string; key: string; ca: string; crl: string[] };
  peer: { cert: string; key: string; ca: string; crl?: string[] };
  outgoing: CourierDeps["peerTls"];
  /** As a client of receivers. */
  puppet: CourierDeps["puppetTls"];
}

async function readAllTls(config: CourierConfig): Promise<AllTls> {
  const { tls, peerTls } = config;
  const read = async (file: string) => readFile(file, "utf8");
  const { crl } = peerTls;
  const puppet = {
    cert: await read(tls.cert),
    key: await read(tls.key),
    ca: await read(tls.ca),
  };
  return {
    puppet,
    client: { ...puppet, crl: splitCrls(await read(tls.crl)) },
    peer: {
      cert: await read(peerTls.cert),
      key: await read(peerTls.key),
      ca: await read(peerTls.ca),
      ...(crl === undefined ? {} : { crl: splitCrls(await read(crl)) }),
    },
    outgoing: await readPeerTls(config),
  };
}

/** Node.js takes the first CRL of a text only, and refuses whoever another CA above signed. */
function splitCrls(text: string): string[] {
  return decodePem(text)
    .filter(({ label }) => label === "X509 CRL")
    .map(({ label, der }) => encodePem(label, der));
}

/** Has newer certificates and CRLs taken as they come, until `signal`; bad ones are left. */
async function followFiles(
  config: CourierConfig,
  first: AllTls,
  take: (files: AllTls) => void,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  let known = hashOf(JSON.stringify(first));
  let said = "";
  while (!signal.aborted) {
    await pause(FILES_EVERY_MS, signal);
    try {
      const files = await readAllTls(config);
      const now = hashOf(JSON.stringify(files));
      if (now === known) continue;
      for (const one of Object.values(files) as AllTls["peer"][]) createSecureContext(one);
      take(files);
      known = now;
      said = "";
      log.info("newer certificates or revocations are in force");
    } catch (error) {
      const why = messageOf(error);
      if (why !== said) log.warn("the former certificates stay in force", { why });
      said = why;
    }
  }
}
