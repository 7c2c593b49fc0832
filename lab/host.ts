// One lab host as scenarios handle it: commands, files, power, links, units, disk.

import { copyFile } from "node:fs/promises";
import { basename } from "node:path";
import { Fault } from "../src/base/fault.ts";
import { until } from "../src/base/retry.ts";
import type { Acts } from "./acts.ts";
import { enterArgs, runToEnd, start } from "./exec.ts";
import type { ExecOptions, ExecResult, Running } from "./exec.ts";
import { powerOff, powerOn } from "./machine.ts";
import { cut, heal, linkState } from "./network.ts";
import type { CutDirection, LinkState } from "./network.ts";
import { addressOf, fqdnOf } from "./plan.ts";
import { isAlive } from "./process-tree.ts";
import { slow, type Slowness, unslow } from "./slow.ts";
import { readHost, type HostRecord } from "./state.ts";

const INSTALL_MS_MAX = 180_000;
const CONDITION_MS_MAX = 30_000;
const FILLER = ".lab-filler";

/** What hosts need to know of their lab: where its files are, and whether it is ending. */
export interface LabPlace {
  folder: string;
  base: string;
  acts: Acts;
}

/**
 * The environment in which a program of a host sees its clock `offset` off: "+10m", "-2h". For
 * exec.
 */
export function skewEnv(offset: string): Record<string, string> {
  return {
    LD_PRELOAD: "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    FAKETIME: offset,
    // Only what people and certificates call time; deadlines go on as they would.
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
}

export class LabHost {
  readonly name: string;
  /** "s1.lab.test" */
  readonly fqdn: string;
  readonly address: string;
  readonly #place: LabPlace;

  constructor(name: string, place: LabPlace) {
    this.name = name;
    this.fqdn = fqdnOf(name);
    this.address = addressOf(name);
    this.#place = place;
  }

  async isUp(): Promise<boolean> {
    const record = await readHost(this.name);
    return record !== undefined && isAlive(record.init);
  }

  /**
   * Runs argv, or a bash script, as root in the host. Never throws for what it did. Default limit
   * 120 s.
   */
  async exec(command: string | readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return runToEnd(enterArgs(await this.#init(), command, options.env), options);
  }

  /**
   * Like exec, but anything but exit code 0 is Fault `lab.command-failed`. Returns standard output.
   */
  async run(command: string | readonly string[], options: ExecOptions = {}): Promise<string> {
    const result = await this.exec(command, options);
    if (result.ok) return result.stdout;
    const text = typeof command === "string" ? command : command.join(" ");
    const how = result.timedOut ? "took too long" : `exit code ${result.code ?? "none (signal)"}`;
    const said = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-15);
    throw new Fault("lab.command-failed", `${this.name}: ${text}: ${how}\n${said.join("\n")}`);
  }

  /** Waits until a condition, in words of the shell, holds in the host. Fault `base.deadline`. */
  async untilHolds(condition: string, withinMs: number = CONDITION_MS_MAX): Promise<void> {
    await until(`${this.name}: ${condition}`, async () => (await this.exec(condition)).ok, {
      withinMs,
      everyMs: 50,
    });
  }

  /** Starts something long-running in the host. It ends with the host, or by kill(). */
  async start(command: string | readonly string[], options: ExecOptions = {}): Promise<Running> {
    return start(enterArgs(await this.#init(), command, options.env), options);
  }

  /** The command line of this machine that runs `command` in the host: for terminals of people. */
  async enterArgs(
    command: string | readonly string[],
    env: Record<string, string> = {},
  ): Promise<string[]> {
    return enterArgs(await this.#init(), command, env);
  }

  /** The text of a file in the host. Fault `lab.command-failed` when it can't be read. */
  async readFile(path: string): Promise<string> {
    return this.run(["cat", "--", path]);
  }

  /** Writes a file in the host, with missing folders. Default mode 0644, owner root. */
  async writeFile(
    path: string,
    content: string | Buffer,
    options: { mode?: number; owner?: string } = {},
  ): Promise<void> {
    const mode = (options.mode ?? 0o644).toString(8);
    const script = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1" && chown "$3" "$1"';
    const args = [path, mode, options.owner ?? "root:root"];
    await this.run(["bash", "-c", script, "write", ...args], { input: content });
  }

  /** Copies a file of this machine into the host's /var/tmp and returns its path there. */
  async copyIn(path: string): Promise<string> {
    const inside = `/var/tmp/${basename(path)}`;
    await copyFile(path, `/proc/${await this.#init()}/root${inside}`);
    return inside;
  }

  /** Installs a Debian package whose dependencies the base has. Returns dpkg's output. */
  async installDeb(path: string): Promise<string> {
    const inside = await this.copyIn(path);
    const dpkg = `dpkg --force-unsafe-io -i '${inside}' && rm '${inside}' && sync -f /`;
    return this.run(dpkg, {
      withinMs: INSTALL_MS_MAX,
      env: { DEBIAN_FRONTEND: "noninteractive" },
    });
  }

  /**
   * Boots a host that is off; its disk is as it was. Returns once systemd has started everything.
   */
  async boot(): Promise<void> {
    if (await this.isUp()) throw new Fault("lab.host-up", `${this.name} is running already`);
    const { folder, base, acts } = this.#place;
    await acts.do(async (signal) => powerOn(folder, base, this.name, signal));
  }

  /**
   * Pulls the plug: no FIN, no RST, no ARP answer leaves the host, and what it had not fsynced is
   * lost. Returns when its cable was out, ms since the epoch.
   */
  async powerCut(): Promise<number> {
    const { folder, acts } = this.#place;
    const record = await this.#record();
    return acts.do(async () => powerOff(folder, this.name, record));
  }

  /**
   * "both" pulls the network cable (the host sees no carrier). "in", "out" and "silent" (both ways)
   * make packets vanish while the cable stays in. Cuts add up until heal().
   */
  async cutLink(options: { direction: CutDirection }): Promise<void> {
    await this.#place.acts.do(async () => cut(this.name, options.direction));
  }

  async heal(): Promise<void> {
    await this.#place.acts.do(async () => heal(this.name));
  }

  /**
   * Sets the clock that these units see when they start next: "+10m", "-2h"; undefined is the true
   * time again. Restarts none of them. Not for etcd, whose Go asks the kernel itself.
   */
  async skewClock(offset: string | undefined, units: readonly string[]): Promise<void> {
    const lines = Object.entries(skewEnv(offset ?? "+0")).map(([key, value]) => `${key}=${value}`);
    const text = `[Service]\n${lines.map((line) => `Environment=${line}\n`).join("")}`;
    for (const unit of units) {
      const path = `/etc/systemd/system/${unit.replace(/\.service$/, "")}.service.d/lab-clock.conf`;
      if (offset === undefined) await this.run(["rm", "-f", path]);
      else await this.writeFile(path, text);
    }
    await this.run(["systemctl", "daemon-reload"]);
  }

  /** Makes every packet to and from the host late, or lost by chance. */
  async slow(slowness: Slowness): Promise<void> {
    await this.#place.acts.do(async () => slow(this.name, slowness));
  }

  async unslow(): Promise<void> {
    await this.#place.acts.do(async () => unslow(this.name));
  }

  /** What is cut at the host's cable now. */
  async link(): Promise<LinkState> {
    return linkState(this.name);
  }

  /** Signals the main process of a unit, or all its processes. */
  async signal(
    unit: string,
    signal: "SIGSTOP" | "SIGCONT" | "SIGKILL" | "SIGTERM" | "SIGHUP",
    which: "main" | "all" = "main",
  ): Promise<void> {
    await this.run(["systemctl", "kill", `--kill-whom=${which}`, `--signal=${signal}`, unit]);
  }

  /** Leaves no free block on the file system of `folder`. */
  async fillDisk(folder = "/var/lib"): Promise<void> {
    // What runs on the host may give some back meanwhile.
    const script = `
      free() { df --output=avail -B1 "$1" | tail -n 1; }
      fallocate -l "$(free "$1")" "$1/${FILLER}.1"
      for try in 1 2 3 4 5 6 7 8 9; do
        for block in 1M 4k 1k; do dd if=/dev/zero bs=$block of="$1/${FILLER}.$try.$block"; done
        sync -f "$1"
        [ "$(free "$1")" -eq 0 ] && exit 0
      done
      exit 1`;
    await this.run(["bash", "-c", script, "fill", folder]);
  }

  /** Takes back what fillDisk did. */
  async freeDisk(folder = "/var/lib"): Promise<void> {
    await this.run(["bash", "-c", `rm -f "$1"/${FILLER}.*; sync -f "$1"`, "free", folder]);
  }

  /** The journal of a unit, or of the whole host, as text. */
  async journal(unit?: string): Promise<string> {
    const of = unit === undefined ? [] : ["-u", unit];
    return this.run(["journalctl", "--no-pager", "-o", "short-precise", ...of]);
  }

  /** The machine's number of the host's PID 1. Fault `lab.host-down`. */
  async #init(): Promise<number> {
    return (await this.#record()).init.pid;
  }

  async #record(): Promise<HostRecord> {
    const record = await readHost(this.name);
    if (record !== undefined && isAlive(record.init)) return record;
    throw new Fault("lab.host-down", `${this.name} is not running`, {
      hints: [`npm run lab -- boot ${this.name}`],
    });
  }
}
