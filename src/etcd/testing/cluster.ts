// Real etcd members on loopback for tests: random ports, folders below the system's temporary one,
// stopped, killed and restarted one by one. Nothing outlives `close()`.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "../../base/fault.ts";
import { until } from "../../base/retry.ts";
import { toolPath } from "../../../scripts/tools.ts";
import { freePorts } from "../../host/testing/ports.ts";
import { createEtcd } from "../client.ts";
import { clientUrl, etcdEnvironment, peerUrl, type EtcdServerConfig } from "../server.ts";
import type { Etcd, EtcdOptions, EtcdTls } from "../types.ts";
import { createTestPki, type TestPki } from "./pki.ts";

const READY_MS = 30_000;
const STDERR_CHARS_MAX = 20_000;
const ADDRESS = "127.0.0.1";

export interface TestMember {
  name: string;
  clientUrl: string;
  peerUrl: string;
  dataDir: string;
  /** Starts the process; does not wait until it serves. */
  start(): void;
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>;
  /** SIGTERM, and waits for its end. */
  stop(): Promise<void>;
  /** SIGSTOP, and waits until every thread stands: hung, its connections open. */
  pause(): Promise<void>;
  /** SIGCONT. */
  resume(): void;
  /** The end of what it wrote to standard error. */
  log(): string;
}

export interface EtcdTestCluster {
  members: TestMember[];
  endpoints: string[];
  /** A client's certificate, key and CA; undefined without TLS. */
  tls: EtcdTls | undefined;
  pki: TestPki | undefined;
  folder: string;
  /** A client of all members, closed with the cluster. */
  client(options?: Partial<EtcdOptions>): Etcd;
  /** Prepares a further member, to be added by `addLearner(peerUrl)` and then joined. */
  prepare(): Promise<TestMember>;
  /** Starts a prepared member that has been added. */
  join(member: TestMember): Promise<void>;
  /** The member that leads now. */
  leader(): Promise<TestMember>;
  close(): Promise<void>;
}

export interface EtcdTestOptions {
  /** Default 1. */
  members?: number;
  /** Mutual TLS with certificates of an own CA. Default false. */
  tls?: boolean;
  /** Changes to each member's settings. */
  server?: Partial<EtcdServerConfig>;
  /** Changes to each member's environment: { ETCD_QUOTA_BACKEND_BYTES: "…" }. */
  environment?: Record<string, string>;
}

/** What the members of one test cluster share. */
interface Site {
  options: EtcdTestOptions;
  folder: string;
  token: string;
  pki: TestPki | undefined;
  members: TestMember[];
  planned: { name: string; peerUrl: string }[];
  /** What a starting etcd must be told of a running cluster: exactly its members. */
  listed: { name: string; peerUrl: string }[];
}

/** Starts a cluster and waits until every member serves. */
export async function startEtcdCluster(options: EtcdTestOptions = {}): Promise<EtcdTestCluster> {
  const folder = await mkdtemp(join(tmpdir(), "understudy-etcd-"));
  const pki = options.tls === true ? await createTestPki(join(folder, "pki")) : undefined;
  const leaf = await pki?.issue("client");
  const tls = leaf && pki && { ca: pki.ca, cert: leaf.cert, key: leaf.key };
  const token = `test-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const planned: Site["planned"] = [];
  const site: Site = { options, folder, token, pki, members: [], planned, listed: planned };
  const cluster = describe(site, tls);
  try {
    for (let count = options.members ?? 1; count > 0; count -= 1) await prepare(site, "new");
    for (const member of site.members) member.start();
    await cluster.leader();
    const client = cluster.client();
    await until("every member", () => allServe(client, cluster), { withinMs: READY_MS });
    return cluster;
  } catch (error) {
    const logs = site.members.map((member) => `${member.name}: ${member.log()}`).join("\n");
    await cluster.close();
    throw new Fault("etcd.test", `the test cluster did not start\n${logs}`, { cause: error });
  }
}

function describe(site: Site, tls: EtcdTls | undefined): EtcdTestCluster {
  const { members, pki, folder } = site;
  const clients: Etcd[] = [];
  const cluster: EtcdTestCluster = {
    members,
    get endpoints() {
      return members.map((member) => member.clientUrl);
    },
    tls,
    pki,
    folder,
    client(changes = {}) {
      const made = createEtcd({ endpoints: cluster.endpoints, tls, ...changes });
      clients.push(made);
      return made;
    },
    prepare: () => prepare(site, "existing"),
    async join(member) {
      const asking = createEtcd({ endpoints: cluster.endpoints, tls });
      const now = await asking.members.list().finally(() => asking.close());
      const isIn = (url: string) => now.some((other) => other.peerUrls.includes(url));
      site.listed = site.planned.filter(({ peerUrl }) => isIn(peerUrl));
      member.start();
    },
    async leader() {
      return until("a leader", () => findLeader(cluster), { withinMs: READY_MS });
    },
    async close() {
      for (const made of clients) made.close();
      await Promise.all(members.map((member) => member.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
  return cluster;
}

/** Chooses a member's name, ports and certificate. */
async function prepare(site: Site, state: "new" | "existing"): Promise<TestMember> {
  const { pki, options } = site;
  const name = `m${site.planned.length + 1}`;
  const [clientPort = 0, peerPort = 0] = await freePorts(2);
  const scheme = pki === undefined ? "http" : "https";
  const names = {
    name,
    clientUrl: clientUrl(ADDRESS, clientPort, scheme),
    peerUrl: peerUrl(ADDRESS, peerPort, scheme),
    dataDir: join(site.folder, name),
  };
  site.planned.push({ name, peerUrl: names.peerUrl });
  const leaf = await pki?.issue(name, [ADDRESS]);
  const files = { cert: leaf?.certPath ?? "", key: leaf?.keyPath ?? "" };
  const environment = () => ({
    ...etcdEnvironment({
      name,
      address: ADDRESS,
      clientPort,
      peerPort,
      dataDir: names.dataDir,
      clusterToken: site.token,
      peers: site.listed,
      state,
      ...options.server,
      tls: pki && { ...files, ca: pki.caPath, crl: pki.crlPath },
    }),
    // The page cache outlives a SIGKILL, and tests must not wait for this machine's disk.
    ETCD_UNSAFE_NO_FSYNC: "true",
    ...options.environment,
  });
  const member = control(toolPath("etcd"), environment, names);
  site.members.push(member);
  return member;
}

async function findLeader(cluster: EtcdTestCluster): Promise<TestMember | undefined> {
  const client = createEtcd({ endpoints: cluster.endpoints, tls: cluster.tls });
  try {
    for (const member of cluster.members) {
      const said = await client.status(member.clientUrl, { withinMs: 300 }).catch(() => undefined);
      if (said !== undefined && said.leaderId !== "0" && said.leaderId === said.memberId) {
        return member;
      }
    }
    return undefined;
  } finally {
    client.close();
  }
}

/** Whether each member answers a linearizable read by itself. */
async function allServe(client: Etcd, cluster: EtcdTestCluster): Promise<boolean> {
  const all = cluster.endpoints;
  for (const endpoint of all) {
    client.setEndpoints([endpoint]);
    const served = await client.get("ready", { withinMs: 1000 }).then(
      () => true,
      () => false,
    );
    if (!served) return false;
  }
  client.setEndpoints(all);
  return true;
}

function control(
  binary: string,
  environment: () => Record<string, string>,
  names: { name: string; clientUrl: string; peerUrl: string; dataDir: string },
): TestMember {
  let child: ChildProcess | undefined;
  let ended: Promise<void> = Promise.resolve();
  let log = "";
  const end = async (signal: NodeJS.Signals) => {
    child?.kill("SIGCONT");
    child?.kill(signal);
    await ended;
    child = undefined;
  };
  return {
    ...names,
    start() {
      const killAtExit = () => void started.kill("SIGKILL");
      process.once("exit", killAtExit);
      const started = spawn(binary, [], { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
      for (const stream of [started.stdout, started.stderr]) {
        stream.on("data", (chunk: Buffer) => {
          log = (log + chunk.toString("utf8")).slice(-STDERR_CHARS_MAX);
        });
      }
      ended = new Promise((resolve) => {
        started.once("close", () => {
          process.off("exit", killAtExit);
          resolve();
        });
        started.once("error", () => resolve());
      });
      child = started;
    },
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    async pause() {
      const pid = child?.pid;
      if (pid === undefined) return;
      child?.kill("SIGSTOP");
      await until("a stop", () => isStopped(pid), { withinMs: READY_MS, everyMs: 5 });
    },
    resume: () => void child?.kill("SIGCONT"),
    log: () => log,
  };
}

/** Whether every thread of the process is in state T. */
async function isStopped(pid: number): Promise<boolean> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const stats = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/stat`, "utf8")),
  );
  return stats.every((stat) => /\) T /.test(stat));
}
