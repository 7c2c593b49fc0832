import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exists } from "../../host/files.ts";
import { run } from "../../host/process.ts";
import type { KeptMove } from "./order.ts";
import { countLinks, renderNewTable, renderOldTable, renderUndo } from "./render.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-undo-"));
});
after(async () => rm(folder, { recursive: true }));

const move = (address: string, name: string, own: string): KeptMove => ({
  address,
  interface: name,
  kept: { own, peer: own.replace(/\.1$/, ".2") },
});

test("renderNewTable has one way for addresses of one subnet, and never passes back what came by it", () => {
  const moves = [
    move("10.0.0.10", "eth0", "10.0.0.1"),
    move("10.0.0.11", "eth0", "10.0.0.1"),
    move("10.1.0.10", "eth1", "10.1.0.1"),
  ];
  assert.equal(countLinks(moves), 2);
  const text = renderNewTable("t", moves, []);
  assert.deepEqual(
    text.match(/device "\w+" priority/g),
    ["eth0", "eth1", "lo"].map((name) => `device "${name}" priority`),
  );
  const rules = text.split("\n").filter((line) => line.startsWith("add rule netdev t arriving0 "));
  const verdicts = rules.map(
    (rule) => /(accept|fwd ip to \S+|drop|reject|add @|update @)/.exec(rule)?.[0],
  );
  assert.deepEqual(verdicts, [
    "update @",
    "update @",
    "accept",
    "add @",
    "update @",
    "fwd ip to 10.0.0.2",
    "reject",
  ]);
  assert.ok(rules.slice(2).every((rule) => rule.includes("ip daddr { 10.0.0.10, 10.0.0.11 }")));
  assert.match(renderOldTable("t", moves), /arriving1 ip saddr 10.1.0.1 ip daddr 10.1.0.2 udp/);
});

test("renderUndo gives a script that puts back what is still ours, twice as well", async () => {
  const [priority, side] = [join(folder, "priority"), join(folder, "old")];
  const order = join(side, "order.json");
  const self = join(folder, "undo");
  const text = renderUndo([{ do: "number", priority: -254, before: 0, because: "" }], {
    priority,
    folder: side,
    order,
    id: "a1",
    self,
  });
  const play = async (number: string, id: string) => {
    await mkdir(side, { recursive: true });
    await writeFile(priority, number);
    await writeFile(order, JSON.stringify({ id, side: "old" }));
    await writeFile(self, text);
    await run(["/bin/sh", self]);
    await run(["/bin/sh", "-c", text]);
    return [await readFile(priority, "utf8"), await exists(side), await exists(self)];
  };
  assert.deepEqual(await play("-254\n", "a1"), ["0\n", false, false]);
  // Set by somebody else meanwhile, and an order that is newer.
  assert.deepEqual(await play("-150\n", "b2"), ["-150\n", true, false]);
});
