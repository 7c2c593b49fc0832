// Switchovers between the servers of a VipNetwork: real keepers in their namespaces, told as the
// daemon tells them; what systemd does otherwise (start them again, the timer) is the test's to do.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { once } from "node:events";
import { until } from "../src/base/retry.ts";
import { exists } from "../src/host/files.ts";
import { tryRun } from "../src/host/process.ts";
import { type Order, type Side, switchoverPaths } from "../src/vip/switchover/order.ts";
import { giveOrder, orderEnd, orderHandOver, untilPhase } from "../src/vip/switchover/tell.ts";
import { ADDRESS, type VipServer } from "./vip-network.ts";

const MAIN = join(import.meta.dirname, "..", "src", "main.ts");
const STANDING = join(import.meta.dirname, "vip-keeper-program.ts");
const WITHIN_MS = 40_000;

export class SwitchoverSide {
  readonly server: VipServer;
  readonly side: Side;
  #keeper: ChildProcess | undefined;

  constructor(server: VipServer, side: Side) {
    this.server = server;
    this.side = side;
  }

  get folder(): string {
    return join(this.server.folder, "switchover");
  }

  get paths() {
    return switchoverPaths(this.side, this.folder);
  }

  /** `keeps`: connections are kept; without, the address moves as when a server dies. */
  async order(id: string, peer: VipServer, limitS: number, keeps = true): Promise<Order> {
    const kept = { own: this.server.address, peer: peer.address };
    const order: Order = {
      id,
      side: this.side,
      stand: "first",
      limitS,
      moves: [{ address: ADDRESS, interface: "eth0", ...(keeps ? { kept } : {}) }],
    };
    await giveOrder(this.paths, order);
    return order;
  }

  /** Starts a keeper, unless one runs; again when it ends while there is something to do. */
  start(): void {
    const { exitCode, signalCode } = this.#keeper ?? { exitCode: 0, signalCode: null };
    if (exitCode === null && signalCode === null) return;
    const argv = [process.execPath, MAIN, "internal", "switchover", this.side, this.folder];
    const keeper = this.server.spawn([...argv, this.server.folder]);
    this.#keeper = keeper;
    keeper.once("exit", (code) => {
      if (code === 0 && this.#keeper === keeper && existsSync(this.paths.order)) this.start();
    });
  }

  /**
   * Starts a keeper that stands still before its step number `at`. Gives what that step is;
   * undefined: it ended before.
   */
  async startStanding(at: number): Promise<string | undefined> {
    const { namespace, folder } = this.server;
    const argv = [process.execPath, STANDING, this.side, this.folder, folder, `${at}`];
    const child = spawn("ip", ["netns", "exec", namespace, ...argv], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#keeper = child;
    for await (const line of createInterface({ input: child.stdout })) return line;
    return undefined;
  }

  /** Kills it, as nothing of it can prevent. */
  async kill(): Promise<void> {
    const keeper = this.#keeper;
    if (keeper === undefined || keeper.exitCode !== null || keeper.signalCode !== null) return;
    const ended = once(keeper, "exit");
    keeper.kill("SIGKILL");
    await ended;
  }

  /** What the timer runs. */
  async undo(id: string): Promise<void> {
    const script = this.paths.undo(id);
    if (!(await exists(script))) return;
    await tryRun(["ip", "netns", "exec", this.server.namespace, "/bin/sh", script]);
  }

  async until(id: string, ...phases: Parameters<typeof untilPhase>[2][number][]) {
    return untilPhase(this.paths, id, phases, { withinMs: WITHIN_MS });
  }
}

/** Both sides of every server. */
export class Switchovers {
  readonly #sides = new Map<string, SwitchoverSide>();

  side(server: VipServer, side: Side): SwitchoverSide {
    const key = `${server.name} ${side}`;
    const known = this.#sides.get(key) ?? new SwitchoverSide(server, side);
    this.#sides.set(key, known);
    return known;
  }

  /** Prepares both sides, as the daemons do. */
  async prepare(id: string, from: VipServer, to: VipServer, limitS = 600, keeps = true) {
    const [old, next] = [this.side(from, "old"), this.side(to, "new")];
    await next.order(id, from, limitS, keeps);
    next.start();
    await old.order(id, to, limitS, keeps);
    old.start();
    await Promise.all([next.until(id, "prepared"), old.until(id, "prepared")]);
    return { old, next };
  }

  /** Moves the address from one server to the other. */
  async move(id: string, from: VipServer, to: VipServer, limitS = 600, keeps = true) {
    const both = await this.prepare(id, from, to, limitS, keeps);
    await orderHandOver(both.old.paths);
    await Promise.all([both.old.until(id, "moved"), both.next.until(id, "moved")]);
    if (keeps) await copyFile(both.old.paths.theirs, both.next.paths.theirs);
    return both;
  }

  /** Ends all that goes on, and waits for it. */
  async settle(): Promise<void> {
    for (const side of this.#sides.values()) {
      await orderEnd(side.paths);
      if (await exists(side.paths.order)) side.start();
    }
    const over = async () => {
      const left = await Promise.all(
        [...this.#sides.values()].map((each) => exists(each.paths.folder)),
      );
      return !left.includes(true);
    };
    await until("all to be put back", over, { withinMs: WITHIN_MS });
  }

  async killAll(): Promise<void> {
    for (const side of this.#sides.values()) await side.kill();
  }
}
