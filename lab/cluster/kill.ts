// Killing a puppetserver in the middle of a compile: found by the compile's own script, so that it
// is really that server and really in the middle.

import { pause, until } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import type { LabHost } from "../host.ts";
import { type Compile, compilesOn } from "./site.ts";

const LOOK_EVERY_MS = 250;
/** How far into the compile: the whole request has long arrived then. */
const INTO_COMPILE_MS = 1000;

export interface Kill {
  server: LabHost;
  certname: string;
  /** The process that got SIGKILL. */
  jvm: number;
  /** Milliseconds since the epoch, right before SIGKILL. */
  atMs: number;
}

/**
 * SIGKILLs the JVM that compiles for one of `certnames`, as soon as one does. Fault
 * `base.deadline`.
 */
export async function killMidCompile(
  servers: readonly LabHost[],
  certnames: readonly string[],
  withinMs: number,
): Promise<Kill> {
  return until("a compile to kill", async () => tryKill(servers, certnames), {
    withinMs,
    everyMs: LOOK_EVERY_MS,
  });
}

async function tryKill(
  servers: readonly LabHost[],
  certnames: readonly string[],
): Promise<Kill | undefined> {
  for (const server of servers) {
    const found = (await compilesOn(server)).find(({ certname }) => certnames.includes(certname));
    if (found === undefined) continue;
    await pause(INTO_COMPILE_MS);
    const atMs = wallMs();
    const { certname, jvm } = found;
    if (await killIfCompiling(server, found)) return { server, certname, jvm, atMs };
  }
  return undefined;
}

/**
 * Waits until systemd has started the killed puppetserver anew and it serves. Fault
 * `base.deadline`.
 */
export async function untilRestarted(kill: Kill, withinMs: number): Promise<void> {
  const { server, jvm } = kill;
  const ask = ["systemctl", "show", "-P", "ActiveState", "-P", "MainPID", "puppetserver"];
  await until(
    `${server.name}: a new puppetserver`,
    async () => {
      const said = (await server.exec(ask)).stdout.trim().split("\n");
      return said.includes("active") && !said.includes(`${jvm}`) && !said.includes("0");
    },
    { withinMs, everyMs: 500 },
  );
}

/**
 * Kills only while the compile's script still runs: one that has just ended would prove nothing.
 */
async function killIfCompiling(server: LabHost, { script, jvm }: Compile): Promise<boolean> {
  const command = `kill -0 ${script} && kill -KILL ${jvm}`;
  return (await server.exec(command)).ok;
}
