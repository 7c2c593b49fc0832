import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PORTS, UNITS } from "./paths.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

test("docs/ports.md lists exactly the ports", () => {
  const listed = [...read("docs/ports.md").matchAll(/^\| (\d+)(?:, or as set)? \|/gm)];
  const ours: number[] = Object.values(PORTS);
  assert.deepEqual(new Set(listed.map(([, port]) => Number(port))), new Set(ours));
});

test("documents have systemctl and journalctl asked for units of ours that are there", () => {
  const names = new Set(
    Object.values(UNITS).flatMap((unit) => [unit, unit.replace(".service", "")]),
  );
  const wrong: string[] = [];
  let found = 0;
  for (const path of globSync(["README.md", "docs/*.md", "packaging/files/*"], { cwd: ROOT })) {
    const asked = read(path).matchAll(/\b(?:systemctl [a-z-]+|journalctl -u)((?: [\w@.-]+)+)/g);
    for (const word of [...asked].flatMap(([, words = ""]) => words.split(" "))) {
      if (!word.startsWith("understudy")) continue;
      found += 1;
      if (!names.has(word.replace(/\.$/, ""))) wrong.push(`${path}: ${word}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(found > 20);
});
