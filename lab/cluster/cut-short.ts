// A command that is ended in the middle: once it has said a line, by SIGKILL or by a power cut.

import assert from "node:assert/strict";
import { pause, until } from "../../src/base/retry.ts";
import type { LabHost } from "../host.ts";

const SETUP_MS_MAX = 300_000;

/**
 * What the command says last before it ends, how it ends, and how much later: milliseconds into the
 * next step, at once by default.
 */
export type Interruption = [line: RegExp, how: "SIGKILL" | "power cut", laterMs?: number];

/** Starts `command` and ends it once it has said `line`; a host that lost power is booted again. */
export async function cutShort(
  host: LabHost,
  command: string,
  [line, how, laterMs = 0]: Interruption,
): Promise<void> {
  const running = await host.start(`exec ${command}`, { withinMs: SETUP_MS_MAX });
  let ended = false;
  void running.done.then(() => (ended = true));
  const said = () => ended || line.test(running.output().stderr);
  await until(`${command} says ${String(line)}`, said, { withinMs: SETUP_MS_MAX, everyMs: 10 });
  const { stderr } = running.output();
  assert.ok(
    !ended && line.test(stderr),
    `${command} ended before it said ${String(line)}:\n${stderr}`,
  );
  await pause(laterMs);
  if (how === "SIGKILL") running.kill("SIGKILL");
  else await host.powerCut();
  await running.done;
  if (how === "power cut") await host.boot();
}
