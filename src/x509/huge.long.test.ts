// Every reader of this folder in a small heap: nothing that may come in takes more memory than its
// own size some times over, nor time that grows faster than it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { EXPECTED } from "./testing/huge.ts";

/** Strings count, buffers don't: the largest text has 48 MiB, and is read line by line. */
const HEAP_MIB = 256;
/** So long that only what grows with the square of its input is cut short. */
const DEADLINE_MS = 240_000;

test("readers make a value or a Fault of huge input in a small heap", () => {
  const program = join(import.meta.dirname, "testing", "huge.ts");
  const heap = `--max-old-space-size=${HEAP_MIB}`;
  const options = { encoding: "utf8", timeout: DEADLINE_MS } as const;
  const { stdout, stderr } = spawnSync(process.execPath, [heap, program], options);
  const told: unknown[] = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const missing = EXPECTED[told.length];
  assert.deepEqual(told, EXPECTED, missing && `ended at "${missing.what}": ${stderr}`);
});
