// A whole edge on loopback for one test: real HAProxy in master-worker mode, toy servers behind it,
// and a client that speaks as an agent does. Everything it started ends with it.

import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { request as httpsRequest, Agent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../base/retry.ts";
import { toolEnv, toolPath } from "../../../scripts/tools.ts";
import { freePorts } from "../../host/testing/ports.ts";
import { type EdgeConfig, edgePaths } from "../config.ts";
import { digestInputs, type EdgeServer, observeEdge } from "../observe.ts";
import { renderEdge } from "../render.ts";
import { edgeRuntime } from "../runtime.ts";
import { type Leaf, makePki, type TestPki } from "./pki.ts";
import type { ToyOptions } from "./toy-server.ts";

/** What an agent got. */
export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  json: Toy;
}

/** What a toy server tells about the request it answered. */
export interface Toy {
  server: string;
  method: string;
  url: string;
  headers: Record<string, string>;
  bodyBytes: number;
  sha256: string;
}

export interface Ask {
  leaf?: Leaf | null;
  method?: string;
  body?: Buffer | string;
  headers?: Record<string, string>;
  agent?: Agent;
  chunked?: boolean;
  /** The second half of the body is sent when this resolves. */
  rest?: Promise<unknown>;
  /** Default 127.0.0.1. */
  host?: string;
  port?: number;
}

/**
 * How many puppetservers and other servers' authorities, and whatever differs in the configuration.
 */
export type EdgeOptions = { puppetservers?: number; others?: number } & Partial<EdgeConfig>;

/** A toy server's process. */
export interface ToyProcess {
  name: string;
  child: ChildProcess;
  options: ToyOptions;
  /** Lines of requests begun and ended. */
  log: () => Promise<string[]>;
}

/** One edge with what it needs; `await using` ends it. */
export class TestEdge implements AsyncDisposable {
  readonly folder: string;
  readonly pki: TestPki;
  readonly config: EdgeConfig;
  readonly output: string[] = [];
  readonly toys = new Map<string, ToyProcess>();
  haproxy: ChildProcess | undefined;
  readonly #agents: Agent[] = [];

  private constructor(folder: string, pki: TestPki, config: EdgeConfig) {
    this.folder = folder;
    this.pki = pki;
    this.config = config;
  }

  /** Makes keys and folders and chooses ports; starts nothing. */
  static async make(options: EdgeOptions = {}): Promise<TestEdge> {
    const folder = await mkdtemp(join(tmpdir(), "edge-"));
    await Promise.all(["state", "run"].map((name) => mkdir(join(folder, name))));
    const { puppetservers = 2, others = 0, ...more } = options;
    const pki = await sharedPki();
    const ports = await freePorts(1 + puppetservers + others);
    const port = () => ports.pop() ?? 0;
    const where = (prefix: string, index: number) => ({
      name: `${prefix}${index + 1}`,
      host: "ps.test",
      address: "127.0.0.1",
      port: port(),
    });
    const config: EdgeConfig = {
      memberId: "m1",
      bind: [{ address: "127.0.0.1", port: port() }],
      acceptProxyFrom: [],
      certificateFile: pki.server.pemFile,
      puppetCaFile: pki.puppetCaFile,
      issuers: [pki.issuer],
      edgeClientPem: pki.edgeClient.pemFile,
      edgeCaFile: pki.edgeCaFile,
      backends: Array.from({ length: puppetservers }, (_, index) => ({
        ...where("p", index),
        jrubies: 4,
      })),
      authorities: Array.from({ length: others }, (_, index) => where("a", index)),
      caSocket: join(folder, "run", "ca.sock"),
      filesSocket: join(folder, "run", "files.sock"),
      memoryMiB: 512,
      stateDir: join(folder, "state"),
      runDir: join(folder, "run"),
      ...more,
    };
    const inputsDigest = await digestInputs(config);
    return new TestEdge(folder, pki, { ...config, inputsDigest });
  }

  /** The same folder and keys with another configuration; ends on its own. */
  with(config: EdgeConfig): TestEdge {
    return new TestEdge(this.folder, this.pki, config);
  }

  /** Makes an edge, starts every backend's toy and HAProxy. */
  static async start(options: EdgeOptions = {}): Promise<TestEdge> {
    const edge = await TestEdge.make(options);
    try {
      await Promise.all(edge.config.backends.map(({ name }) => edge.startToy(name)));
      await edge.startHaproxy();
    } catch (error) {
      await edge[Symbol.asyncDispose]();
      throw error;
    }
    return edge;
  }

  async writeFiles(): Promise<void> {
    const paths = edgePaths(this.config);
    const files = renderEdge(this.config);
    await writeFile(paths.config, files.haproxyCfg);
    await writeFile(paths.lua, files.waitLua);
    for (const path of [paths.revoked, paths.poison]) await writeFile(path, "", { flag: "a" });
  }

  /** Starts HAProxy and waits until it accepts connections. */
  async startHaproxy(): Promise<void> {
    await this.writeFiles();
    const paths = edgePaths(this.config);
    const child = spawn(
      toolPath("haproxy"),
      ["-Ws", "-f", paths.config, "-S", `${paths.master},mode,600`],
      { env: toolEnv(), stdio: ["ignore", "pipe", "pipe"] },
    );
    this.haproxy = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => this.output.push(text));
    }
    await until("HAProxy listens", () => this.#answers(), { withinMs: 60_000, everyMs: 30 });
  }

  async #answers(): Promise<boolean> {
    if (this.haproxy?.exitCode !== null) throw new Error(`HAProxy ended:\n${this.output.join("")}`);
    return this.ask("/status/v1/simple/server").then(
      () => true,
      () => false,
    );
  }

  /** Waits for a line of HAProxy's that matches `pattern`, and returns it. */
  async logged(pattern: RegExp): Promise<string> {
    const find = () =>
      this.output
        .join("")
        .split("\n")
        .find((line) => pattern.test(line));
    return until(`a log line like ${pattern}`, find, { withinMs: 60_000, everyMs: 20 });
  }

  /** Everything HAProxy has written. */
  logText(): string {
    return this.output.join("");
  }

  /** Starts (again) the toy of a backend or authority, or one on a Unix socket. */
  async startToy(name: string, socket?: string): Promise<ToyProcess> {
    const found = [...this.config.backends, ...this.config.authorities].find(
      (server) => server.name === name,
    );
    const options: ToyOptions = {
      name,
      logFile: join(this.folder, `${name}.log`),
      healthFile: join(this.folder, `${name}.health`),
      listen: socket ?? found?.port ?? 0,
      certFile: this.pki.pki.file("puppetserver.crt"),
      keyFile: this.pki.pki.file("puppetserver.key"),
      caFile: this.pki.edgeCaFile,
    };
    const script = join(import.meta.dirname, "toy-server.ts");
    const child = spawn(process.execPath, [script, JSON.stringify(options)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin?.on("error", () => undefined);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once("data", () => resolve());
      child.once("exit", () => reject(new Error(`toy ${name} ended at its start`)));
    });
    const log = async () =>
      (await readFile(options.logFile, "utf8").catch(() => "")).split("\n").filter(Boolean);
    const toy = { name, child, options, log };
    this.toys.set(name, toy);
    return toy;
  }

  /** `which` is ".sign" for whether it signs. */
  async setHealth(name: string, status: number, which = ""): Promise<void> {
    const file = join(this.folder, `${name}.health${which}`);
    // Never half there: the toy reads it while it is written.
    await writeFile(`${file}.new`, String(status));
    await rename(`${file}.new`, file);
  }

  /** Lets the requests with `gate=NAME` be answered. */
  async open(gate: string): Promise<void> {
    await writeFile(join(this.folder, gate), "");
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.toys.get(name)?.child.kill(signal);
  }

  /** Every request that any toy has begun, as "NAME: start ID METHOD PATH". */
  async requests(id: string): Promise<string[]> {
    const lists = await Promise.all(
      [...this.toys.values()].map(async ({ name, log }) =>
        (await log()).map((line) => `${name}: ${line}`),
      ),
    );
    return lists.flat().filter((line) => line.split(" ")[2] === id);
  }

  /** Waits until a toy has begun request `id`, and names the latest that has. */
  async begun(id: string, times = 1): Promise<string> {
    const find = async () => {
      const starts = (await this.requests(id)).filter((line) => line.includes(": start "));
      return starts.length >= times ? starts : undefined;
    };
    const starts = await until(`request ${id} begins`, find, { withinMs: 60_000, everyMs: 20 });
    return starts.at(-1)?.split(":")[0] ?? "";
  }

  /** Which toys have begun request `id`. */
  async servedBy(id: string): Promise<string[]> {
    const starts = (await this.requests(id)).filter((line) => line.includes(": start "));
    return starts.map((line) => line.split(":")[0] ?? "").sort();
  }

  /** Waits until the edge sees a puppetserver in `state`. */
  async seen(name: string, state: EdgeServer["state"]): Promise<void> {
    const runtime = edgeRuntime(this.config);
    const find = async () =>
      (await observeEdge(runtime)).servers.some(
        (server) => server.name === name && server.state === state,
      );
    await until(`${name} is ${state}`, find, { withinMs: 60_000, everyMs: 50 });
  }

  /** A keep-alive connection of one agent. */
  connection(leaf: Leaf | null = this.pki.agent): Agent {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...this.#tls(leaf) });
    this.#agents.push(agent);
    return agent;
  }

  #tls(leaf: Leaf | null): { cert?: string; key?: string; rejectUnauthorized: false } {
    const own = leaf === null ? {} : { cert: leaf.cert, key: leaf.key };
    return { ...own, rejectUnauthorized: false };
  }

  /** One request as an agent makes it, on a connection of its own unless `agent` is given. */
  async ask(path: string, options: Ask = {}): Promise<Answer> {
    const leaf = options.leaf === undefined ? this.pki.agent : options.leaf;
    const body = options.body;
    return new Promise((resolve, reject) => {
      const request = httpsRequest(
        {
          host: options.host ?? "127.0.0.1",
          port: options.port ?? this.config.bind[0]?.port,
          path,
          method: options.method ?? (body === undefined ? "GET" : "POST"),
          headers: {
            ...(body === undefined || options.chunked === true
              ? {}
              : { "content-length": String(Buffer.byteLength(body)) }),
            ...options.headers,
          },
          agent: options.agent ?? false,
          ...(options.agent === undefined ? this.#tls(leaf) : {}),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString();
            let json = {} as Toy;
            try {
              json = JSON.parse(text) as Toy;
            } catch {
              // Not every answer is a toy's.
            }
            const status = response.statusCode ?? 0;
            resolve({ status, headers: response.headers, text, json });
          });
        },
      );
      request.on("error", reject);
      if (body === undefined || options.rest === undefined) return void request.end(body);
      const half = Math.ceil(body.length / 2);
      request.write(body.slice(0, half));
      void options.rest.then(() => request.end(body.slice(half)));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) agent.destroy();
    const children = [this.haproxy, ...[...this.toys.values()].map(({ child }) => child)];
    await Promise.all(children.map((child) => end(child)));
    await rm(this.folder, { recursive: true, force: true });
  }
}

let shared: Promise<TestPki> | undefined;

/** One set of certificates for all edges of a test file: making it takes longer than a test. */
async function sharedPki(): Promise<TestPki> {
  shared ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), "edge-pki-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    return makePki(folder);
  })();
  return shared;
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
  });
  child.kill("SIGCONT");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
  await gone;
  clearTimeout(timer);
}
