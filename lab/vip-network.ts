// keepalived and an edge on servers that are network namespaces of one test alone, joined by a
// bridge in another: kernels as real as they come, no lab, no daemon of ours. Needs root.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../src/base/retry.ts";
import { writeFileAtomic } from "../src/host/files.ts";
import { run, tryRun } from "../src/host/process.ts";
import { renderEdgeWatch } from "../src/vip/edge-watch.ts";
import { WILLING } from "../src/vip/priority.ts";
import { renderKeepalived, type VirtualAddress } from "../src/vip/render.ts";
import { ensureTools, toolEnv, toolPath } from "../scripts/tools.ts";

const WITHIN_MS = 20_000;
const STREAM = join(import.meta.dirname, "vip-stream-program.ts");
/** A site's own: whoever isn't known or asked for is dropped, and nothing is forwarded. */
const FIREWALL = `table inet site {
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state invalid drop
    ct state established,related accept
    ip protocol { icmp, vrrp } accept
    tcp dport { 8140, 9000 } ct state new accept
  }
  chain forward { type filter hook forward priority 0; policy drop; }
}
`;
export const ADDRESS = "10.77.0.10";

/** A bridge, and servers on it by name, as in n1: its address ends in 1 and its number. */
export class VipNetwork {
  readonly servers: VipServer[] = [];
  /** The bridge's namespace, whose own address is 10.77.0.1: where clients run. */
  readonly clients: string;
  readonly #prefix: string;
  readonly #names: readonly string[];
  #folder = "";

  constructor(prefix: string, names: readonly string[]) {
    this.#prefix = prefix;
    this.#names = names;
    this.clients = `${prefix}-switch`;
  }

  async setUp(): Promise<void> {
    await ensureTools(() => undefined);
    await this.#removeNamespaces();
    this.#folder = await mkdtemp(`/run/${this.#prefix}-`);
    await writeFile(join(this.#folder, "edge-watch"), renderEdgeWatch(), { mode: 0o755 });
    await run(["ip", "netns", "add", this.clients]);
    const inside = ["ip", "-n", this.clients];
    await run([...inside, "link", "add", "br0", "type", "bridge"]);
    await run([...inside, "addr", "add", "10.77.0.1/24", "dev", "br0"]);
    await run([...inside, "link", "set", "br0", "up"]);
    for (const name of this.#names) {
      const peers = this.#names.filter((each) => each !== name).map(addressOf);
      const server = new VipServer(name, { prefix: this.#prefix, folder: this.#folder, peers });
      this.servers.push(server);
      await server.plug(this.clients);
    }
  }

  async tearDown(): Promise<void> {
    await Promise.all(this.servers.map(async (server) => server.stop()));
    await this.#removeNamespaces();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #removeNamespaces(): Promise<void> {
    for (const name of ["switch", ...this.#names]) {
      await killAll(`${this.#prefix}-${name}`);
      await tryRun(["ip", "netns", "del", `${this.#prefix}-${name}`]);
    }
  }

  async holders(address = ADDRESS): Promise<VipServer[]> {
    const held = await Promise.all(this.servers.map(async (server) => server.addresses()));
    return this.servers.filter((_, index) => held[index]?.includes(address) === true);
  }

  /** The one server that holds `address`, once it has been the same one for a second. */
  async soleHolder(what: string, not?: VipServer, address = ADDRESS): Promise<VipServer> {
    let last: VipServer | undefined;
    let looks = 0;
    return until(
      what,
      async () => {
        const [one, ...others] = await this.holders(address);
        const good = one !== undefined && others.length === 0 && one !== not;
        looks = good && one === last ? looks + 1 : 0;
        last = one;
        return good && looks >= 10 ? one : undefined;
      },
      { withinMs: WITHIN_MS },
    );
  }

  /** Whether a client on the network reaches an edge at the address. */
  async reached(): Promise<boolean> {
    const argv = ["ip", "netns", "exec", this.clients, "curl", "-s", "-o", "/dev/null"];
    return (await tryRun([...argv, "--max-time", "2", `http://${ADDRESS}:8140/`])).ok;
  }
}

function addressOf(name: string): string {
  return `10.77.0.1${name.slice(1)}`;
}

export class VipServer {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  readonly folder: string;
  readonly #peers: readonly string[];
  #switch = "";
  #edge: ChildProcess | undefined;
  #keepalived: ChildProcess | undefined;

  constructor(name: string, options: { prefix: string; folder: string; peers: readonly string[] }) {
    this.name = name;
    this.namespace = `${options.prefix}-${name}`;
    this.address = addressOf(name);
    this.folder = join(options.folder, name);
    this.#peers = options.peers;
  }

  async plug(toSwitch: string): Promise<void> {
    await mkdir(this.folder);
    this.#switch = toSwitch;
    const { namespace } = this;
    await run(["ip", "netns", "add", namespace]);
    const veth = ["type", "veth", "peer", "eth0", "netns", namespace];
    await run(["ip", "-n", toSwitch, "link", "add", namespace, ...veth]);
    await run(["ip", "-n", toSwitch, "link", "set", namespace, "master", "br0", "up"]);
    await run(["ip", "-n", namespace, "addr", "add", `${this.address}/24`, "dev", "eth0"]);
    await run(["ip", "-n", namespace, "link", "set", "lo", "up"]);
    await run(["ip", "-n", namespace, "link", "set", "eth0", "up"]);
    await this.want(WILLING);
    await this.configure([`${ADDRESS}/24`]);
  }

  async configure(addresses: string[], take?: string): Promise<void> {
    const config = renderKeepalived({
      memberId: this.namespace,
      addresses: addresses.map((address): VirtualAddress => ({ address, interface: "eth0" })),
      self: this.address,
      peers: this.#peers,
      routerIdSeed: "test",
      ...(take === undefined ? {} : { take }),
      priorityFile: join(this.folder, "priority"),
      edgeWatch: join(this.folder, "..", "edge-watch"),
      edgeSocket: join(this.folder, "stats.sock"),
    });
    await writeFileAtomic(join(this.folder, "keepalived.conf"), config);
  }

  async want(priority: number): Promise<void> {
    await writeFileAtomic(join(this.folder, "priority"), `${priority}\n`);
  }

  async startEdge(): Promise<void> {
    const config = join(this.folder, "haproxy.cfg");
    const text = [
      `global\n stats socket ${join(this.folder, "stats.sock")} level admin`,
      "defaults\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s",
      `frontend f\n bind :8140\n http-request return status 200 hdr x-server ${this.name}`,
    ];
    await writeFile(config, `${text.join("\n")}\n`);
    this.#edge = this.spawn([toolPath("haproxy"), "-db", "-f", config]);
  }

  async startKeepalived(): Promise<void> {
    const path = (name: string) => join(this.folder, name);
    // As the unit does: keepalived won't start beside the pid file of one that was killed.
    await rm(path("keepalived.pid"), { force: true });
    await rm(path("vrrp.pid"), { force: true });
    this.#keepalived = this.spawn([
      toolPath("keepalived"),
      "--dont-fork",
      "--log-console",
      "--log-detail",
      "--vrrp",
      `--use-file=${path("keepalived.conf")}`,
      `--pid=${path("keepalived.pid")}`,
      `--vrrp_pid=${path("vrrp.pid")}`,
    ]);
  }

  /** Starts all that serves, behind a strict firewall. */
  async serve(): Promise<void> {
    await this.run(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1"]);
    await run(["ip", "netns", "exec", this.namespace, "nft", "-f", "-"], { input: FIREWALL });
    await this.startEdge();
    this.spawn([process.execPath, STREAM, "9000"]);
    await this.startKeepalived();
  }

  /** All that a switchover could leave behind, as text: equal texts, nothing left. */
  async kernelState(): Promise<string> {
    const shown = [
      ["nft", "-s", "list", "ruleset"],
      ["ip", "rule"],
      ["ip", "route", "show", "table", "all"],
      ["ip", "-o", "addr"],
      ["sysctl", "-a", "--pattern", "^net[.](ipv4|netfilter[.]nf_conntrack_tcp)"],
    ];
    const texts = await Promise.all(shown.map(async (argv) => this.run(argv)));
    const priority = await readFile(join(this.folder, "priority"), "utf8");
    const lines = [...texts, priority].join("\n").split("\n");
    // Who holds the address may have changed, and the kernel tunes some itself.
    const own = (line: string) =>
      (line.includes(ADDRESS) && line.includes("eth0")) ||
      /tcp_(fastopen|mem)|fib_multipath|random|uuid/.test(line);
    return lines
      .filter((line) => !own(line))
      .toSorted()
      .join("\n");
  }

  /** Starts a program on the server. */
  spawn(argv: string[]): ChildProcess {
    return spawn("ip", ["netns", "exec", this.namespace, ...argv], {
      env: toolEnv(),
      stdio: process.env["VIP_LOG"] === undefined ? "ignore" : "inherit",
    });
  }

  /** Runs a program on the server. Throws Fault `host.command-failed`. */
  async run(argv: string[]): Promise<string> {
    return run(["ip", "netns", "exec", this.namespace, ...argv]);
  }

  signalEdge(signal: NodeJS.Signals): void {
    this.#edge?.kill(signal);
  }

  reloadKeepalived(): void {
    this.#keepalived?.kill("SIGHUP");
  }

  /**
   * Kills all of keepalived at once: neither process can put the address away or restart the other.
   */
  async killKeepalived(): Promise<void> {
    const parent = this.#keepalived?.pid;
    assert.ok(parent !== undefined);
    const child = Number(await readFile(join(this.folder, "vrrp.pid"), "utf8"));
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
      process.kill(parent, signal);
      process.kill(child, signal);
    }
    await until("keepalived's end", () => !isAlive(child), { withinMs: WITHIN_MS });
  }

  async setLink(state: "up" | "down"): Promise<void> {
    await run(["ip", "-n", this.#switch, "link", "set", this.namespace, state]);
  }

  async addresses(): Promise<string[]> {
    const shown = await run(["ip", "-n", this.namespace, "-j", "addr", "show", "dev", "eth0"]);
    const links = JSON.parse(shown) as { addr_info?: { local: string }[] }[];
    return links.flatMap((link) => (link.addr_info ?? []).map((info) => info.local));
  }

  async stop(): Promise<void> {
    for (const child of [this.#keepalived, this.#edge]) {
      child?.kill("SIGCONT");
      child?.kill("SIGTERM");
    }
    await until("the end of what runs there", async () => !(await killAll(this.namespace)), {
      withinMs: WITHIN_MS,
    });
    await tryRun(["ip", "netns", "del", this.namespace]);
  }
}

/** Kills what runs in a namespace, also what a test that failed has left. Says whether any did. */
async function killAll(namespace: string): Promise<boolean> {
  const { stdout } = await tryRun(["ip", "netns", "pids", namespace]);
  const pids = stdout.split("\n").filter((line) => line !== "");
  for (const pid of pids) kill(Number(pid));
  return pids.length > 0;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

function isAlive(pid: number): boolean {
  return !/^\S+ \(.*\) [ZX]/.test(readStat(pid)) && readStat(pid) !== "";
}

function readStat(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return "";
  }
}
