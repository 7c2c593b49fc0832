import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { tryRun } from "../host/process.ts";

const LIFE = join(import.meta.dirname, "life.ts");
const BASE = join(import.meta.dirname, "..", "base");

/** Runs a daemon whose start is `start`, a function body that may use `stop` and `Fault`. */
async function liveWith(start: string) {
  const program = `
    import { live } from ${JSON.stringify(LIFE)};
    import { Fault } from ${JSON.stringify(join(BASE, "fault.ts"))};
    import { createLog } from ${JSON.stringify(join(BASE, "log.ts"))};
    await live(createLog((line) => process.stderr.write(line + "\\n")), async (stop) => {
      setInterval(() => undefined, 1000);
      ${start}
    });`;
  const env = { ...process.env };
  delete env["NOTIFY_SOCKET"];
  return tryRun([process.execPath, "--input-type=module", "--eval", program], { env });
}

test("live ends the process when the start fails, although loops have started", async () => {
  const ended = await liveWith(`throw new Fault("api.listen", "port 9140 is taken");`);
  assert.equal(ended.timedOut, false);
  assert.equal(ended.code, 1);
  assert.match(ended.stderr, /can't start: api\.listen: port 9140 is taken/);
});

test("live closes what has started, and exits 0, when it is told to stop", async () => {
  const ended = await liveWith(`
    setTimeout(() => stop.abort(), 1);
    return { hung: () => "", close: async () => console.log("closed") };`);
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(ended.stdout, "closed\n");
});
