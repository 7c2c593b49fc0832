// One command at a time changes what this server is. An init whose terminal was lost ends its step,
// and gives puppetserver back to the agents: it must not do so under the same command that goes on
// already, or stock's CA would start beside the cluster's. The kernel holds the lock, for a child
// that lives as long as this process does, however that ends.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { Fault } from "../base/fault.ts";
import { makeFolder } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import { collect } from "../host/process.ts";

const LOCK = join(PATHS.run, "setup-lock");
const TAKEN = 75;

/** Keeps other commands that set up or take out this server away. */
export interface Alone {
  /** Lets them; the end of this process does too. */
  release(): void;
}

/** Throws Fault `setup.running` where another command is at it. */
export async function beAlone(path: string = LOCK): Promise<Alone> {
  await makeFolder(dirname(path));
  const holding = ["sh", "-c", "echo held; exec cat"];
  const argv = ["--nonblock", `--conflict-exit-code=${TAKEN}`, path, ...holding];
  // Away from the terminal: Ctrl-C is for us.
  const child = spawn("flock", argv, { detached: true });
  const { stdin, stdout, stderr } = child;
  stdin.on("error", () => undefined);
  const said = collect(stderr);
  const code = await new Promise<number | null | "held">((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
    stdout.once("data", () => resolve("held"));
  });
  if (code === TAKEN) {
    throw new Fault("setup.running", "another such command is at work on this server", {
      hints: [
        "Let it end; then the same command goes on where that left off.",
        "Which: pgrep -af 'understudy.* (init|join|leave|eject|puppetdb)'",
      ],
    });
  }
  if (code !== "held") throw new Fault("host.command-failed", `flock ${path}: ${said().trim()}`);
  for (const each of [child, stdin, stdout, stderr]) if ("unref" in each) unref(each);
  return { release: () => void stdin.end() };
}

function unref(held: object): void {
  (held as { unref(): void }).unref();
}
