// The courier's three doors: PuppetDB's clients, other couriers, its own status. systemd holds
// their sockets where it starts the courier, so that a restart makes clients wait, not fail.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Server as TlsServer } from "node:https";
import { type ListenOptions, Server as NetServer, type Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { z } from "zod";
import { messageOf } from "../base/fault.ts";
import { pause, until } from "../base/retry.ts";
import type { CourierConfig } from "./config.ts";
import type { Courier } from "./courier.ts";
import { answerSync } from "./sync/door.ts";
import { DEAD_PATH, serveDead } from "./dead-door.ts";

/** The first descriptor that systemd hands over; its unit lists the sockets in this order. */
const FIRST_FD = 3;
const ORDER = ["client", "peer", "status"] as const;
export type DoorName = (typeof ORDER)[number];

/** Where the door of the status tells of agents' failed runs. */
export const FAILED_RUNS_PATH = "/failed-runs";

/** How long those who are being answered are waited for at the end, milliseconds. */
const DRAIN_MS = 10_000;
const LOOK_MS = 50;
/** How long a client takes at most from its connection to its request, milliseconds. */
const FRESH_MS = 1000;

type Place = ListenOptions | { fd: number };

/** Where a door listens; undefined: nowhere. */
export function placeOf(
  name: DoorName,
  config: CourierConfig,
  env: NodeJS.ProcessEnv = process.env,
): Place | undefined {
  if (Number(env["LISTEN_FDS"]) === ORDER.length && Number(env["LISTEN_PID"]) === process.pid) {
    return { fd: FIRST_FD + ORDER.indexOf(name) };
  }
  if (name === "status") {
    return config.statusSocket === undefined ? undefined : { path: config.statusSocket };
  }
  const { address: host, port } = name === "client" ? config.listen : config.peerListen;
  return { host, port };
}

/** What the courier says of itself, to who may open its socket. `loaded`: see run.ts. */
export function createStatusDoor(courier: Courier, loaded: string): Server {
  const answer = async (incoming: IncomingMessage, signal: AbortSignal) => {
    const { method = "GET", url: path = "/" } = incoming;
    if (path === FAILED_RUNS_PATH) return courier.failedRuns.list();
    const said = await answerSync(courier, { method, path, signal });
    return said ?? { ...(await courier.status()), loaded };
  };
  return createServer((incoming, outgoing) => {
    if (incoming.url?.startsWith(DEAD_PATH) === true) {
      serveDead(courier.dead, incoming, outgoing).catch((error: unknown) => {
        const status = error instanceof z.ZodError || error instanceof SyntaxError ? 400 : 500;
        if (outgoing.headersSent) return void outgoing.destroy();
        outgoing.writeHead(status, { "content-type": "application/json" });
        outgoing.end(JSON.stringify({ error: messageOf(error) }));
      });
      return;
    }
    incoming.resume();
    const gone = new AbortController();
    outgoing.on("close", () => gone.abort());
    answer(incoming, gone.signal).then(
      (said) => {
        outgoing.writeHead(200, { "content-type": "application/json" });
        outgoing.end(JSON.stringify(said));
      },
      (error: unknown) => outgoing.writeHead(503).end(messageOf(error)),
    );
  });
}

/**
 * Returns what has `door` take newer certificates and CRLs. A connection of before gets one more
 * answer: its client was checked by the former ones, and may be revoked.
 */
export function renewalOf(door: TlsServer): (tls: SecureContextOptions) => void {
  let checked = new WeakSet<Socket>();
  door.on("secureConnection", (socket) => checked.add(socket));
  door.prependListener("request", ({ socket }: IncomingMessage, outgoing: ServerResponse) => {
    if (!checked.has(socket)) outgoing.shouldKeepAlive = false;
  });
  return (tls) => {
    door.setSecureContext(tls);
    checked = new WeakSet();
  };
}

/** Opens `door`; does nothing where there is no place for it. */
export async function openDoor(door: Server, place: Place | undefined): Promise<void> {
  if (place === undefined) return;
  door.listen(place);
  await once(door, "listening");
}

/**
 * Returns what lets go of the clients of `door` and breaks nothing off: a client may send a request
 * on a kept connection in the very moment in which that is closed, and Puppet sends none again. So
 * each gets its answer, and is told to come by another connection, until those that were kept have
 * been silent for longer than clients were told to keep them. Nobody new is let in then.
 */
export function farewellOf(door: Server): () => Promise<void> {
  const open = new Set<ServerResponse>();
  let isLeaving = false;
  door.prependListener("request", (_: IncomingMessage, outgoing: ServerResponse) => {
    if (isLeaving) outgoing.shouldKeepAlive = false;
    open.add(outgoing);
    outgoing.once("close", () => open.delete(outgoing));
  });
  const untilGone = async (withinMs: number) => {
    const isGone = () =>
      new Promise<boolean>((resolve) => door.getConnections((_, count) => resolve(count === 0)));
    await until("", isGone, { withinMs, everyMs: LOOK_MS }).catch(() => undefined);
  };
  return async () => {
    isLeaving = true;
    for (const outgoing of open) if (!outgoing.headersSent) outgoing.shouldKeepAlive = false;
    await untilGone(door.keepAliveTimeout + door.keepAliveTimeoutBuffer);
    // HTTP's own close would end connections whose first request is on its way.
    NetServer.prototype.close.call(door);
    await untilGone(FRESH_MS);
  };
}

/** Lets nobody new in, and waits for those who are being answered. */
export async function closeDoors(doors: readonly Server[]): Promise<void> {
  const closed = Promise.all(
    doors.map(async (door) => new Promise((resolve) => void door.close(resolve))),
  );
  const idle = setInterval(() => {
    for (const door of doors) door.closeIdleConnections();
  }, LOOK_MS);
  const waited = new AbortController();
  await Promise.race([closed, pause(DRAIN_MS, waited.signal)]);
  waited.abort();
  clearInterval(idle);
}
