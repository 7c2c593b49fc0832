import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { collect } from "../host/process.ts";

const PROGRAM = `
import { confirm } from ${JSON.stringify(join(import.meta.dirname, "confirm.ts"))};
import { createOutput } from ${JSON.stringify(join(import.meta.dirname, "output.ts"))};
const said = await confirm(["It ends."], "s1", {}, createOutput(true)).then(() => "yes", (e) => e.code);
console.log("confirm said", said);
`;

test("confirm is answered by the name alone: Ctrl-C and Ctrl-D change nothing, and are no failure of ours", async () => {
  for (const [typed, said] of [
    ["s1\n", "yes"],
    ["s2\n", "cli.not-confirmed"],
    ["\u0003", "cli.not-confirmed"],
    ["\u0004", "cli.not-confirmed"],
  ] as const) {
    // On a terminal of its own: there is nobody else to ask.
    const node = '"$NODE" --input-type=module -e "$PROGRAM"';
    const env = { ...process.env, NODE: process.execPath, PROGRAM };
    const child = spawn("script", ["-qec", node, "/dev/null"], { env });
    const seen = collect(child.stdout);
    try {
      await until("the question", () => seen().includes("to go on: "), { withinMs: 30_000 });
      // Also where the answer is to be JSON.
      assert.match(seen(), /It ends\./);
      child.stdin.write(typed);
      await once(child, "close");
      assert.match(seen(), new RegExp(`confirm said ${said}\r\n`));
    } finally {
      child.kill();
    }
  }
});
