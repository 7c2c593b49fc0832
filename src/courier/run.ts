// The courier as a process: its configuration, its certificates, its two doors.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Server } from "node:https";
import type { Log } from "../base/log.ts";
import { createClientDoor } from "./client-door.ts";
import { type CourierConfig, readCourierConfig } from "./config.ts";
import { readPeerTls, startCourier } from "./courier.ts";
import { createPeerDoor } from "./peer-door.ts";

/**
 * Runs the courier that the file at `path` describes until `signal` aborts. `onReady` is called
 * when both doors are open. Throws Fault `courier.config`, `courier.spool-…`, or why it can't
 * listen.
 */
export async function runCourier(
  path: string,
  deps: { log: Log; signal: AbortSignal; onReady: () => void },
): Promise<void> {
  const { log, signal } = deps;
  const config = await readCourierConfig(path);
  const courier = await startCourier(config, { log, peerTls: await readPeerTls(config) });
  const client = createClientDoor(courier, {
    ...(await readTls(config)),
    allow: config.allow,
    log,
  });
  const peer = createPeerDoor(courier, { ...(await readPeerDoorTls(config)), log });
  const doors: Server[] = [];
  try {
    for (const [door, { address, port }] of [
      [client, config.listen],
      [peer, config.peerListen],
    ] as const) {
      door.listen({ host: address, port });
      await once(door, "listening");
      doors.push(door);
    }
    log.info("the courier takes commands", { port: config.listen.port });
    deps.onReady();
    if (!signal.aborted) await once(signal, "abort");
  } finally {
    // Whoever is being answered gets his answer; nobody new is let in.
    for (const door of doors) {
      door.close();
      door.closeIdleConnections();
    }
    await courier.close();
    for (const door of doors) door.closeAllConnections();
  }
}

async function readTls({ tls }: CourierConfig) {
  const read = async (file: string) => readFile(file, "utf8");
  const [cert, key] = [await read(tls.cert), await read(tls.key)];
  return { cert, key, ca: await read(tls.ca), crl: await read(tls.crl) };
}

async function readPeerDoorTls({ peerTls }: CourierConfig) {
  const read = async (file: string) => readFile(file, "utf8");
  const [cert, key] = [await read(peerTls.cert), await read(peerTls.key)];
  return { cert, key, ca: await read(peerTls.ca) };
}
