// A whole Understudy cluster in the lab, set up as an administrator would: the package installed,
// `understudy init` on the first server, `understudy join` on the others.
//
//   const cluster = await openCluster({ servers: 3, agentHosts: 1 });
//   await cluster.until("s2 is gone", (status) => …, 30_000);  await cluster.untilWhole();
//   await cluster.down();

import { basename } from "node:path";
import { z } from "zod";
import { buildPackage } from "../packaging/build.ts";
import { Fault, isFault, messageOf } from "../src/base/fault.ts";
import { pause, until } from "../src/base/retry.ts";
import type { ClusterStatus } from "../src/cluster/status.ts";
import { monotonicMs } from "../src/host/clock.ts";
import { statusOf } from "./cluster/commands.ts";
import { collectLogs, explainFailure } from "./cluster/journals.ts";
import { compilesOn, setMood, writeSite } from "./cluster/site.ts";
import type { Compile, CompileMood } from "./cluster/site.ts";
import { runSaying } from "./cluster/say.ts";
import { listMissing } from "./cluster/whole.ts";
import type { LabHost } from "./host.ts";
import { orInterrupted } from "./interrupt.ts";
import { type Lab, openLab } from "./lab.ts";
import { SHARED_NAME, VIRTUAL_ADDRESS } from "./plan.ts";

/** Three JVMs that start at once on two cores took 115 s. */
const SETUP_MS_MAX = 420_000;
const WHOLE_MS_MAX = 300_000;
const STATUS_MS_MAX = 20_000;
const TOKEN_FILE = "/root/join-token";

export interface ClusterOptions {
  /** How many servers: s1, s2 … Default 3. */
  servers?: number;
  /** How many agents' hosts: a1, a2 … Default 1. */
  agentHosts?: number;
  /** Whether the cluster has the virtual IP. Default true. */
  vip?: boolean;
  /** Called with each server that has the package, before it sets anything up. */
  prepare?: (server: LabHost) => Promise<void>;
  /** Gets each step in words as it goes on. Default: standard error. */
  say?: (line: string) => void;
  /** Ends the setting up, and the lab with it: Fault `lab.interrupted`. */
  signal?: AbortSignal | undefined;
  /** Where whole journals go when setting up fails. */
  logs?: string;
}

/**
 * Boots the lab and sets the cluster up in it. On failure the lab is gone and the fault has the
 * journals' ends.
 */
export async function openCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const say = options.say ?? ((line: string) => process.stderr.write(`cluster: ${line}\n`));
  const names = (letter: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
  const servers = names("s", options.servers ?? 3);
  const agentHosts = names("a", options.agentHosts ?? 1);
  const { signal } = options;
  const deb = await orInterrupted(buildPackage({ say }), signal);
  const lab = await openLab({ hosts: [...servers, ...agentHosts], say, signal });
  const cluster = new Cluster(lab, servers, agentHosts, options.vip ?? true);
  try {
    await orInterrupted(setUp(cluster, deb, say, options.prepare), signal);
    return cluster;
  } catch (error) {
    try {
      if (isFault(error, "lab.interrupted")) throw error;
      // What can't be written, as on a full disk, must not hide what went wrong.
      if (options.logs !== undefined)
        await collectLogs(cluster.servers, options.logs).catch((failure: unknown) =>
          say(`the journals can't be kept: ${messageOf(failure)}`),
        );
      throw await explainFailure(error, cluster.servers);
    } finally {
      await lab.down();
    }
  }
}

async function installServer(server: LabHost, deb: string): Promise<void> {
  await writeSite(server);
  await server.installDeb(deb);
}

async function setUp(
  cluster: Cluster,
  deb: string,
  say: (line: string) => void,
  prepare: ClusterOptions["prepare"],
): Promise<void> {
  const hosts = cluster.servers.length + cluster.agentHosts.length;
  say(`${hosts} Debian hosts are up; installing ${basename(deb)}`);
  await Promise.all(cluster.servers.map((server) => installServer(server, deb)));
  if (prepare !== undefined) await Promise.all(cluster.servers.map(prepare));
  const vip = cluster.vip === undefined ? [] : ["--vip", `${cluster.vip}/24`];
  const init = ["understudy", "init", "--name", cluster.sharedName, ...vip];
  await runSaying(cluster.first, init, { say, withinMs: SETUP_MS_MAX });
  for (const server of cluster.servers.slice(1)) await joinServer(cluster.first, server, say);
  await cluster.untilWhole();
}

/** Makes `server`, which has the package, a member of the cluster that `via` is in. */
export async function joinServer(
  via: LabHost,
  server: LabHost,
  say: (line: string) => void,
): Promise<void> {
  const answer = await via.run(["understudy", "token", "create", "--json"]);
  const { token } = z.object({ token: z.string() }).parse(JSON.parse(answer));
  await server.writeFile(TOKEN_FILE, token, { mode: 0o600 });
  const join = ["understudy", "join", `https://${via.address}:9140`, "--token-file", TOKEN_FILE];
  await runSaying(server, join, { say, withinMs: SETUP_MS_MAX });
  await server.run(["rm", TOKEN_FILE]);
}

export class Cluster {
  readonly lab: Lab;
  readonly servers: readonly LabHost[];
  readonly agentHosts: readonly LabHost[];
  /** The virtual address without prefix, if there is one. */
  readonly vip: string | undefined;
  readonly sharedName = SHARED_NAME;

  constructor(lab: Lab, servers: string[], agentHosts: string[], vip: boolean) {
    this.lab = lab;
    this.servers = servers.map((name) => lab.host(name));
    this.agentHosts = agentHosts.map((name) => lab.host(name));
    this.vip = vip ? VIRTUAL_ADDRESS : undefined;
  }

  get first(): LabHost {
    return required(this.servers[0], "the cluster has no server");
  }

  /** The host that agents of scenarios live on. */
  get agentHost(): LabHost {
    return required(this.agentHosts[0], "the cluster has no agents' host");
  }

  /** The server called `name` ("s1" or "s1.lab.test"). */
  server(name: string): LabHost {
    const found = this.servers.find((host) => host.name === name || host.fqdn === name);
    return required(found, `the cluster has no server ${name}`);
  }

  /**
   * The status as `via` tells it; by default the first server that answers. Fault `lab.no-status`.
   */
  async status(via?: LabHost): Promise<ClusterStatus> {
    const asked = via === undefined ? this.servers : [via];
    const failures: string[] = [];
    for (const host of asked) {
      try {
        return await statusOf(host, STATUS_MS_MAX);
      } catch (error) {
        failures.push(`${host.name}: ${messageOf(error)}`);
      }
    }
    throw new Fault("lab.no-status", "no server tells the cluster's status", { hints: failures });
  }

  /**
   * Waits until `probe` returns true or a value for the status, and returns that. Fault
   * `base.deadline`.
   */
  async until<T>(
    what: string,
    probe: (status: ClusterStatus) => T | undefined | false,
    withinMs: number,
  ): Promise<T> {
    const ask = async () => {
      const status = await this.status().catch(() => undefined);
      return status === undefined ? undefined : probe(status);
    };
    return until(what, ask, { withinMs, everyMs: 500 });
  }

  /** In words what is missing until every server is in every list; empty when nothing is. */
  async missing(options: { puppetservers?: boolean } = {}): Promise<string[]> {
    const servers = this.servers.map(({ fqdn }) => fqdn);
    const vips = this.vip === undefined ? [] : [this.vip];
    try {
      return listMissing(await this.status(), { servers, vips, ...options });
    } catch (error) {
      return [messageOf(error)];
    }
  }

  /** Waits until every server is in every list. Fault `lab.not-whole` that says what is missing. */
  async untilWhole(options: { puppetservers?: boolean } = {}): Promise<void> {
    const end = monotonicMs() + WHOLE_MS_MAX;
    for (;;) {
      const missing = await this.missing(options);
      if (missing.length === 0) return;
      if (monotonicMs() >= end) {
        const within = `${WHOLE_MS_MAX / 1000} s`;
        throw new Fault("lab.not-whole", `the cluster was not whole within ${within}`, {
          hints: missing,
        });
      }
      await pause(500);
    }
  }

  /**
   * The server whose interface has the virtual address now, asked of the kernel and nobody else.
   */
  async holder(): Promise<LabHost | undefined> {
    return this.vip === undefined ? undefined : findHolder(this.servers, this.vip);
  }

  /** Sets how the catalogs of `certname` are compiled, on every server that runs. */
  async mood(certname: string, mood: CompileMood): Promise<void> {
    const running: LabHost[] = [];
    for (const server of this.servers) if (await server.isUp()) running.push(server);
    await setMood(running, certname, mood);
  }

  /** A slow compile of one of `certnames` that goes on now, and where. */
  async compiling(
    certnames: readonly string[],
  ): Promise<{ server: LabHost; compile: Compile } | undefined> {
    for (const server of this.servers) {
      const compiles = await compilesOn(server);
      const compile = compiles.find(({ certname }) => certnames.includes(certname));
      if (compile !== undefined) return { server, compile };
    }
    return undefined;
  }

  /** Ends the lab and everything in it. */
  async down(): Promise<void> {
    await this.lab.down();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }
}

/** Boots those of `servers` that are off. */
export async function bootDead(servers: readonly LabHost[]): Promise<void> {
  for (const server of servers) if (!(await server.isUp())) await server.boot();
}

/** The host among `servers` whose interface has `address` now. */
export async function findHolder(
  servers: readonly LabHost[],
  address: string,
): Promise<LabHost | undefined> {
  for (const server of servers) {
    if (!(await server.isUp())) continue;
    // A server that lets go of it has it on lo, for its connections.
    const shown = `ip -o addr show to ${address}/32 | grep -v ' lo '`;
    if ((await server.exec(shown)).ok) return server;
  }
  return undefined;
}

function required<T>(value: T | undefined, otherwise: string): T {
  if (value !== undefined) return value;
  throw new Fault("lab.no-host", otherwise);
}
