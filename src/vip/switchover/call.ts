// The old holder calls the new one five times a second for as long as it has connections to serve.
// The new holder's kernel hears it, and sends each call back the way that agents' packets go: a
// network that swallows those is noticed before anything moves.

import { createSocket } from "node:dgram";
import { PORTS } from "../../host/paths.ts";
import type { KeptMove } from "./order.ts";

const CALL_EVERY_MS = 200;

export interface Caller {
  stop(): void;
}

/** Calls the other side of each move until it is stopped. What can't be sent now is, later. */
export function startCalling(moves: readonly KeptMove[]): Caller {
  const ways = new Map(moves.map(({ kept }) => [`${kept.own} ${kept.peer}`, kept]));
  const callers = [...ways.values()].map(({ own, peer }) => {
    const socket = createSocket("udp4");
    socket.on("error", () => undefined);
    socket.bind(0, own);
    const call = () => socket.send("understudy", PORTS.control, peer, () => undefined);
    const timer = setInterval(call, CALL_EVERY_MS);
    socket.once("listening", call);
    return () => {
      clearInterval(timer);
      socket.close();
    };
  });
  return {
    stop() {
      for (const end of callers) end();
    },
  };
}
