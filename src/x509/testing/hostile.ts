// Damaged bytes for tests, and what parsers may do with them: give a value or throw a Fault.

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Fault } from "../../base/fault.ts";

/** `valid` with a few bytes changed, dropped, doubled, or its end cut off. */
export function damaged(valid: Buffer): fc.Arbitrary<Buffer> {
  const at = fc.nat(valid.length - 1);
  const byte = fc.integer({ min: 0, max: 255 });
  const edit = fc.oneof(
    fc.record({ kind: fc.constant("set" as const), at, byte }),
    fc.record({ kind: fc.constant("set" as const), at, byte }),
    fc.record({ kind: fc.constant("drop" as const), at, byte }),
    fc.record({ kind: fc.constant("insert" as const), at, byte }),
    fc.record({ kind: fc.constant("cut" as const), at, byte }),
  );
  return fc.array(edit, { minLength: 1, maxLength: 3 }).map((edits) => {
    let bytes = Buffer.from(valid);
    for (const { kind, at, byte } of edits) {
      const insert = kind === "set" || kind === "insert" ? [byte] : [];
      const skip = kind === "insert" ? 0 : kind === "cut" ? bytes.length : 1;
      bytes = Buffer.concat([
        bytes.subarray(0, at),
        Buffer.from(insert),
        bytes.subarray(Math.min(at + skip, bytes.length)),
      ]);
    }
    return bytes;
  });
}

/** Runs `act`; anything thrown but a Fault of x509 fails the test. */
export function valueOrFault(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof Fault, `not a Fault but ${String(error)}`);
    assert.match(error.code, /^x509\./);
  }
}

/**
 * How a property is run: `numRuns` cases, times UNDERSTUDY_FUZZ_TIMES where somebody has hours. A
 * failure prints seed and path; UNDERSTUDY_FUZZ_SEED repeats a run.
 */
export function fuzzed(numRuns: number): fc.Parameters<unknown> {
  const { UNDERSTUDY_FUZZ_TIMES: times = "1", UNDERSTUDY_FUZZ_SEED: seed } = process.env;
  return {
    numRuns: numRuns * Number(times),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  };
}

/** What `act` gives; undefined when it throws a Fault with one of `codes`, and nothing else. */
export function valueOr<T>(codes: readonly string[], act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    assert.ok(
      error instanceof Fault,
      `not a Fault but ${error instanceof Error ? error.stack : String(error)}`,
    );
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return undefined;
  }
}
