// The keeper of one side of a switchover that stands still for ever before its step number N, and
// says so: there a test kills it. Arguments: side, folder, folder of the number, N.

import { createLog } from "../src/base/log.ts";
import { runKeeper } from "../src/vip/switchover/keeper.ts";
import { Side } from "../src/vip/switchover/order.ts";

const [side, folder = "", vipFolder = "", stopAt = ""] = process.argv.slice(2);
let steps = 0;
// It must not end for want of anything to do.
setInterval(() => undefined, 60_000);

await runKeeper(Side.parse(side), {
  folder,
  vipFolder,
  log: createLog(() => undefined),
  signal: new AbortController().signal,
  async onStep(what) {
    steps += 1;
    if (steps < Number(stopAt)) return;
    process.stdout.write(`${what}\n`);
    await new Promise(() => undefined);
  },
});
process.exit(0);
