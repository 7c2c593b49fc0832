// A courier as a process of its own, for tests that kill it. Arguments: its configuration, and the
// step before which it is to crash, if it is. Prints "ready" when it takes commands.

import { createLog } from "../../base/log.ts";
import { runCourier } from "../run.ts";
import { crashBefore } from "./crash.ts";

const [config = "", crashAt] = process.argv.slice(2);
if (crashAt !== undefined) await crashBefore(Number(crashAt));
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
await runCourier(config, {
  log: createLog((line) => process.stderr.write(`${line}\n`)),
  signal: stop.signal,
  onReady: () => process.stdout.write("ready\n"),
});
