// A courier as a process of its own, for tests that kill it. Argument: its configuration. Prints
// "ready" when it takes commands.

import { createLog } from "../../base/log.ts";
import { runCourier } from "../run.ts";

const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
await runCourier(process.argv[2] ?? "", {
  log: createLog((line) => process.stderr.write(`${line}\n`)),
  signal: stop.signal,
  onReady: () => process.stdout.write("ready\n"),
});
