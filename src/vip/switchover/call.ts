// The old holder calls the new one five times a second for as long as it has connections to serve.
// The new holder's kernel hears it, and sends each call back the way that agents' packets go: a
// network that swallows those is noticed before anything moves.

import { createSocket } from "node:dgram";
import { pause } from "../../base/retry.ts";
import { PORTS } from "../../host/paths.ts";
import type { KeptMove } from "./order.ts";

const CALL_EVERY_MS = 200;
const CALL = "understudy";
/** What is said at the end: the kernel knows it by its length (render.ts). */
const OVER = ".";
/** One of them gets through. */
const OVER_TIMES = 3;

export interface Caller {
  stop(): void;
  /** Says that all connections are seen to, and stops. */
  over(): Promise<void>;
}

/** Calls the other side of each move until it is stopped. What can't be sent now is, later. */
export function startCalling(moves: readonly KeptMove[]): Caller {
  const ways = new Map(moves.map(({ kept }) => [`${kept.own} ${kept.peer}`, kept]));
  const callers = [...ways.values()].map(({ own, peer }) => {
    const socket = createSocket("udp4");
    socket.on("error", () => undefined);
    socket.bind(0, own);
    const say = (what: string) => socket.send(what, PORTS.control, peer, () => undefined);
    const timer = setInterval(say, CALL_EVERY_MS, CALL);
    socket.once("listening", () => say(CALL));
    const end = () => {
      clearInterval(timer);
      socket.close();
    };
    return { say, end };
  });
  const stop = () => {
    for (const { end } of callers.splice(0)) end();
  };
  return {
    stop,
    async over() {
      for (let times = 0; times < OVER_TIMES; times += 1) {
        for (const { say } of callers) say(OVER);
        await pause(CALL_EVERY_MS / OVER_TIMES);
      }
      stop();
    },
  };
}
