// Connects to an address every few milliseconds; a line per attempt: "START END ok|failed".
// Runs in a host's network namespace, beside the host's own programs, until it gets SIGTERM.
// Danger: no attempt may wait for the one before it, or an outage would thin them out.

import { connect } from "node:net";
import { monotonicMs, wallMs } from "../src/host/clock.ts";

const [address = "", port = "", everyMs = "", limitMs = ""] = process.argv.slice(2);
/**
 * Wall clock at the start, then monotonic: can be set beside other programs' times, never jumps.
 */
const origin = wallMs() - monotonicMs();
const now = () => origin + monotonicMs();

let lastTick = monotonicMs();
let worstStallMs = 0;

const timer = setInterval(() => {
  const tick = monotonicMs();
  worstStallMs = Math.max(worstStallMs, tick - lastTick - Number(everyMs));
  lastTick = tick;
  attempt();
}, Number(everyMs));

function attempt(): void {
  const start = now();
  const socket = connect({ host: address, port: Number(port) });
  let open = true;
  const end = (ok: boolean) => {
    if (!open) return;
    open = false;
    clearTimeout(limit);
    process.stdout.write(`${start.toFixed(2)} ${now().toFixed(2)} ${ok ? "ok" : "failed"}\n`);
    // A reset leaves no TIME_WAIT behind, of which ports would run out.
    if (ok) socket.resetAndDestroy();
    else socket.destroy();
  };
  const limit = setTimeout(end, Number(limitMs), false);
  socket.once("connect", () => end(true));
  socket.on("error", () => end(false));
}

process.on("SIGTERM", () => {
  clearInterval(timer);
  // Those on their way still get their limit.
  setTimeout(
    () => {
      process.stdout.write(`stall ${worstStallMs.toFixed(2)}\n`, () => process.exit(0));
    },
    Number(limitMs) + 20,
  );
});
