import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PORTS } from "./paths.ts";

test("docs/ports.md lists exactly the ports", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/ports.md"), "utf8");
  const listed = [...page.matchAll(/^\| (\d+)(?:, or as set)? \|/gm)].map(([, port]) =>
    Number(port),
  );
  const ours: number[] = Object.values(PORTS);
  assert.deepEqual(new Set(listed), new Set(ours));
});
