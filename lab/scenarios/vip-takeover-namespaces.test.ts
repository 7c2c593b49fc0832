// Hazard: the server that holds the virtual IP, its edge, its link or its keepalived dies or stops.
// Real keepalived and HAProxy in network namespaces of this test alone; no lab, no daemon of ours.
// Needs root, for namespaces.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../../src/base/retry.ts";
import { writeFileAtomic } from "../../src/host/files.ts";
import { run, tryRun } from "../../src/host/process.ts";
import { renderEdgeWatch } from "../../src/vip/edge-watch.ts";
import { REFUSING, RELUCTANT, WILLING } from "../../src/vip/priority.ts";
import { renderKeepalived, type VirtualAddress } from "../../src/vip/render.ts";
import { ensureTools, toolEnv, toolPath } from "../../scripts/tools.ts";

const SWITCH = "uvip-switch";
const ADDRESS = "10.77.0.10";
const SECOND = "10.77.0.9";
const IPV6 = "fd77::10";
const MEMBERS = ["n1", "n2", "n3"];
const WITHIN_MS = 20_000;

class Server {
  readonly namespace: string;
  readonly address: string;
  readonly folder: string;
  #edge: ChildProcess | undefined;
  #keepalived: ChildProcess | undefined;

  constructor(name: string, folder: string) {
    this.namespace = `uvip-${name}`;
    this.address = `10.77.0.1${name.slice(1)}`;
    this.folder = join(folder, name);
  }

  async plug(): Promise<void> {
    await mkdir(this.folder);
    const { namespace } = this;
    await run(["ip", "netns", "add", namespace]);
    await run([
      "ip",
      "-n",
      SWITCH,
      "link",
      "add",
      namespace,
      "type",
      "veth",
      "peer",
      "eth0",
      "netns",
      namespace,
    ]);
    await run(["ip", "-n", SWITCH, "link", "set", namespace, "master", "br0", "up"]);
    await run(["ip", "-n", namespace, "addr", "add", `${this.address}/24`, "dev", "eth0"]);
    await run(["ip", "-n", namespace, "link", "set", "lo", "up"]);
    await run(["ip", "-n", namespace, "link", "set", "eth0", "up"]);
    await this.want(WILLING);
    await this.configure([`${ADDRESS}/24`]);
  }

  async configure(addresses: string[]): Promise<void> {
    const peers = MEMBERS.map((name) => `10.77.0.1${name.slice(1)}`);
    const config = renderKeepalived({
      memberId: this.namespace,
      addresses: addresses.map((address): VirtualAddress => ({ address, interface: "eth0" })),
      self: this.address,
      peers: peers.filter((peer) => peer !== this.address),
      routerIdSeed: "test",
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
      "frontend f\n bind :8140\n http-request return status 200",
    ];
    await writeFile(config, `${text.join("\n")}\n`);
    this.#edge = this.#spawn([toolPath("haproxy"), "-db", "-f", config]);
  }

  async startKeepalived(): Promise<void> {
    const path = (name: string) => join(this.folder, name);
    // As the unit does: keepalived won't start beside the pid file of one that was killed.
    await rm(path("keepalived.pid"), { force: true });
    await rm(path("vrrp.pid"), { force: true });
    this.#keepalived = this.#spawn([
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

  #spawn(argv: string[]): ChildProcess {
    const child = spawn("ip", ["netns", "exec", this.namespace, ...argv], {
      env: toolEnv(),
      stdio: process.env["UVIP_LOG"] === undefined ? "ignore" : "inherit",
    });
    return child;
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
    await run(["ip", "-n", SWITCH, "link", "set", this.namespace, state]);
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
    await tryRun(["ip", "netns", "del", this.namespace]);
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

let folder = "";
let servers: Server[] = [];

async function holders(address = ADDRESS): Promise<Server[]> {
  const held = await Promise.all(servers.map((server) => server.addresses()));
  return servers.filter((_, index) => held[index]?.includes(address) === true);
}

/** The one server that holds `address`, once it has been the same one for a second. */
async function soleHolder(what: string, not?: Server, address = ADDRESS): Promise<Server> {
  let last: Server | undefined;
  let looks = 0;
  return until(
    what,
    async () => {
      const [one, ...others] = await holders(address);
      const good = one !== undefined && others.length === 0 && one !== not;
      looks = good && one === last ? looks + 1 : 0;
      last = one;
      return good && looks >= 10 ? one : undefined;
    },
    { withinMs: WITHIN_MS },
  );
}

/** Whether a client on the network reaches an edge at the address. */
async function reached(): Promise<boolean> {
  const argv = ["ip", "netns", "exec", SWITCH, "curl", "-s", "-o", "/dev/null", "--max-time", "2"];
  return (await tryRun([...argv, `http://${ADDRESS}:8140/`])).ok;
}

before(async () => {
  await ensureTools(() => undefined);
  await removeNamespaces();
  folder = await mkdtemp("/run/uvip-");
  await writeFile(join(folder, "edge-watch"), renderEdgeWatch(), { mode: 0o755 });
  await run(["ip", "netns", "add", SWITCH]);
  await run(["ip", "-n", SWITCH, "link", "add", "br0", "type", "bridge"]);
  await run(["ip", "-n", SWITCH, "addr", "add", "10.77.0.1/24", "dev", "br0"]);
  await run(["ip", "-n", SWITCH, "link", "set", "br0", "up"]);
  servers = MEMBERS.map((name) => new Server(name, folder));
  for (const server of servers) await server.plug();
});

after(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await removeNamespaces();
  await rm(folder, { recursive: true, force: true });
});

async function removeNamespaces(): Promise<void> {
  for (const name of [SWITCH, ...MEMBERS.map((member) => `uvip-${member}`)]) {
    await tryRun(["ip", "netns", "del", name]);
  }
}

test("nobody takes the address before an edge answers, then one server does", async () => {
  for (const server of servers) await server.startKeepalived();
  // keepalived takes an address 0.4 s after its start when nothing holds it back; one run of the
  // watch takes 0.9 s.
  await new Promise((resolve) => {
    setTimeout(resolve, 3000);
  });
  assert.deepEqual(await holders(), []);
  for (const server of servers) await server.startEdge();
  const holder = await soleHolder("an address");
  assert.ok(await reached(), holder.namespace);
});

test("a server whose edge is killed loses the address, and gets it back only when it is free", async () => {
  const first = await soleHolder("a holder");
  first.signalEdge("SIGKILL");
  const second = await soleHolder("another holder", first);
  assert.ok(await reached());
  await first.startEdge();
  await until(
    "the first edge",
    async () =>
      (
        await tryRun([
          "ip",
          "netns",
          "exec",
          first.namespace,
          "curl",
          "-s",
          "http://127.0.0.1:8140/",
        ])
      ).ok,
    { withinMs: WITHIN_MS },
  );
  assert.equal(await soleHolder("the same holder"), second);
});

test("a server whose edge is stopped loses the address", async () => {
  const first = await soleHolder("a holder");
  first.signalEdge("SIGSTOP");
  await soleHolder("another holder", first);
  assert.ok(await reached());
  first.signalEdge("SIGCONT");
});

test("a server that is cut off is followed, and the split heals to one holder", async () => {
  const first = await soleHolder("a holder");
  await first.setLink("down");
  await until("another holder", async () => (await holders()).some((each) => each !== first), {
    withinMs: WITHIN_MS,
  });
  assert.ok(await reached());
  await first.setLink("up");
  await soleHolder("one holder after the split");
  assert.ok(await reached());
});

test("a server that refuses addresses gives them up at once and doesn't take them back unasked", async () => {
  const first = await soleHolder("a holder");
  await first.want(REFUSING);
  const second = await soleHolder("another holder", first);
  await first.want(WILLING);
  assert.equal(await soleHolder("the same holder"), second);
});

/** What the daemon of a drained server does: refuses until it is gone, then is the last in line. */
async function offer(drained: Server): Promise<Server> {
  const isGone = async () => !(await holders()).includes(drained);
  await drained.want(REFUSING);
  await until("the address is gone", isGone, { withinMs: WITHIN_MS, everyMs: 50 });
  await drained.want(RELUCTANT);
  return soleHolder("a holder again");
}

test("a drained server gives the address up once, and takes it again only when nobody else does", async () => {
  const drained = await soleHolder("a holder");
  const others = servers.filter((server) => server !== drained);
  assert.ok(others.includes(await offer(drained)));
  assert.ok(await reached());
  for (const server of others) server.signalEdge("SIGKILL");
  assert.equal(await soleHolder("the drained one, since nobody else is left", others[0]), drained);
  assert.ok(await reached());
  // Nobody is there to take it: it comes back.
  assert.equal(await offer(drained), drained);
  for (const server of others) await server.startEdge();
  assert.equal(await soleHolder("it keeps it until it is told"), drained);
  // keepalived there believes in its edge after a look or two.
  const taken = async () => others.includes(await offer(drained));
  await until("another holder", taken, { withinMs: WITHIN_MS });
  await drained.want(WILLING);
  assert.ok(await reached());
});

test("a keepalived that is killed leaves the address behind, and clears it when it is back", async () => {
  const first = await soleHolder("a holder");
  await first.killKeepalived();
  await until("another holder", async () => (await holders()).some((each) => each !== first), {
    withinMs: WITHIN_MS,
  });
  await first.startKeepalived();
  await soleHolder("one holder");
  assert.ok(await reached());
});

test("an address is added by a reload while the first stays where it is, IPv6 too", async () => {
  const holder = await soleHolder("a holder");
  for (const server of servers) {
    await server.configure([`${ADDRESS}/24`, `${SECOND}/24`, `${IPV6}/64`]);
    server.reloadKeepalived();
    assert.equal(await soleHolder("the same holder"), holder);
  }
  assert.equal(await soleHolder("the second address", undefined, SECOND), holder);
  assert.equal(await soleHolder("the IPv6 address", undefined, IPV6), holder);
});

test("nobody keeps the address when no edge is left", async () => {
  for (const server of servers) server.signalEdge("SIGKILL");
  await until("no holder", async () => (await holders()).length === 0, { withinMs: WITHIN_MS });
});
