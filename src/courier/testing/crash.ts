// Kills its own process before one of its steps: before it changes anything on disk, answers
// anybody, or sends anything to a PuppetDB, a receiver or another courier. For tests that try them
// all.

import { promises } from "node:fs";
import { ClientRequest, ServerResponse } from "node:http";
import { syncBuiltinESMExports } from "node:module";

const FILES = ["rename", "rm", "mkdir", "writeFile", "link", "truncate"] as const;
const HANDLES = ["write", "writev", "appendFile", "datasync", "sync", "truncate"] as const;

/** Kills the process before its step number `at`, counted from 1; says at the end how many were. */
export async function crashBefore(at: number): Promise<void> {
  let steps = 0;
  const step = () => {
    steps += 1;
    if (steps === at) process.kill(process.pid, "SIGKILL");
  };
  const patch = (owner: object, name: string, counts: (self: unknown) => boolean = () => true) => {
    const real = Reflect.get(owner, name) as (...args: unknown[]) => unknown;
    const counted = function (this: unknown, ...args: unknown[]): unknown {
      if (counts(this)) step();
      return Reflect.apply(real, this, args);
    };
    Reflect.set(owner, name, counted);
  };
  const handle = await promises.open(import.meta.filename, "r");
  for (const name of HANDLES) patch(Object.getPrototypeOf(handle) as object, name);
  await handle.close();
  for (const name of FILES) patch(promises, name);
  patch(ServerResponse.prototype, "end");
  patch(ClientRequest.prototype, "end", (self) => (self as ClientRequest).method !== "GET");
  syncBuiltinESMExports();
  process.on("exit", () => process.stderr.write(`steps ${steps}\n`));
}
