import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { applyVip } from "./apply.ts";
import { vipPaths } from "./paths.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-vip-"));
});
after(async () => rm(folder, { recursive: true }));
const because = "test";

test("applyVip keeps the configuration that works when keepalived refuses the next one", async () => {
  const options = { folder, keepalived: toolPath("keepalived"), env: toolEnv() };
  const good = "global_defs {\n    router_id s1\n}\n";
  await applyVip({ do: "write-config", text: good, because }, options);
  await assert.rejects(
    applyVip({ do: "write-config", text: "no_such_word {\n}\n", because }, options),
    (error) => isFault(error, "vip.config-refused") && error.hints.join().includes("no_such_word"),
  );
  assert.equal(await readFile(vipPaths(folder).config, "utf8"), good);
  assert.deepEqual(await readdir(folder), ["keepalived.conf"]);
});

test("applyVip writes the number and a program that can be run", async () => {
  await applyVip({ do: "set-priority", priority: -254, because }, { folder });
  await applyVip({ do: "write-edge-watch", text: "#!/bin/true\n", because }, { folder });
  assert.equal(await readFile(vipPaths(folder).priority, "utf8"), "-254\n");
  assert.equal((await stat(vipPaths(folder).edgeWatch)).mode & 0o777, 0o755);
});
