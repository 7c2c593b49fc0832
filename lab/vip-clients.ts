// Starts vip-client-program.ts in a namespace, and reads what its clients saw.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { until } from "../src/base/retry.ts";

const WITHIN_MS = 40_000;

export interface Failure {
  kind: "kept" | "listening" | "new";
  /** An error's code, "closed", "silent". */
  how: string;
  atMs: number;
}

export interface ClientReport {
  /** New connections that were answered, and requests on kept ones, by server. */
  made: Record<string, number>;
  asked: Record<string, number>;
  heard: number;
  open: number;
  /** How long the quietest open connection of those that last has heard nothing. */
  quietMs: number;
  failures: Failure[];
}

export class VipClients {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  #text = "";

  constructor(
    namespace: string,
    options: { address: string; everyMs: number; kept: number; listening: number },
  ) {
    const { address, everyMs, kept, listening } = options;
    const program = [process.execPath, join(import.meta.dirname, "vip-client-program.ts")];
    const argv = [...program, address, `${everyMs}`, `${kept}`, `${listening}`];
    this.#child = spawn("ip", ["netns", "exec", namespace, ...argv], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child.stdout.on("data", (chunk: Buffer) => (this.#text += chunk.toString()));
  }

  /** What they have seen so far. */
  async report(): Promise<ClientReport> {
    await until("its first report", () => this.#text.includes("\n"), { withinMs: WITHIN_MS });
    const before = this.#text.length;
    this.#child.kill("SIGUSR2");
    const line = await until("a report", () => this.#lineFrom(before), {
      withinMs: WITHIN_MS,
      everyMs: 10,
    });
    return JSON.parse(line) as ClientReport;
  }

  /** Waits until they see `what`. */
  async until(what: string, so: (report: ClientReport) => boolean): Promise<ClientReport> {
    return until(
      what,
      async () => {
        const report = await this.report();
        return so(report) ? report : undefined;
      },
      { withinMs: WITHIN_MS },
    );
  }

  async end(): Promise<ClientReport> {
    await this.report();
    const before = this.#text.length;
    this.#child.kill("SIGTERM");
    await once(this.#child, "close");
    return JSON.parse(this.#lineFrom(before) ?? "null") as ClientReport;
  }

  #lineFrom(at: number): string | undefined {
    const end = this.#text.indexOf("\n", at);
    return end === -1 ? undefined : this.#text.slice(at, end);
  }
}
