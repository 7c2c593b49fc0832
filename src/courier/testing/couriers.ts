// Couriers for tests: real processes on loopback with certificates of their own, in front of toy
// PuppetDBs that remember what they were sent.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { type Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../base/retry.ts";
import {
  createAuthorityCa,
  issueLeaf,
  leafHostname,
  type LeafName,
  renderAuthorityCrl,
} from "../../cluster/pki.ts";
import { readIfThere } from "../../host/files.ts";
import { freePorts } from "../../host/testing/ports.ts";
import { wallMs } from "../../host/clock.ts";
import { exportPkcs8, generateEcKey } from "../../x509/keys.ts";
import { createRequest } from "../../x509/request.ts";
import { renderCourierConfig } from "../config.ts";
import { ToyPuppetDb } from "./toy-puppetdb.ts";

export const SOON = { withinMs: 30_000, everyMs: 100 };

/** Waits until the PuppetDB of `id` has got commands of these certnames and no others. */
export async function untilHas(
  couriers: TestCouriers,
  id: string,
  certnames: string[],
): Promise<void> {
  const wanted = certnames.toSorted();
  const has = () => {
    const got = [...new Set(couriers.toy(id).certnames())].sort();
    return JSON.stringify(got) === JSON.stringify(wanted);
  };
  await until(`the PuppetDB of ${id} has ${wanted.join()}`, has, SOON);
}

/** Waits until the courier of `id` answers queries. */
export async function untilFit(couriers: TestCouriers, id: string): Promise<void> {
  const answers = async () => (await couriers.ask(id, "/pdb/query/v4/nodes")).status === 200;
  await until(`${id} answers queries`, answers, SOON);
}

interface Certificate {
  cert: string;
  key: string;
}

/** Couriers named s1.test, s2.test …, each with a folder and two ports. */
export class TestCouriers implements AsyncDisposable {
  readonly folder: string;
  readonly ids: string[];
  readonly ports: number[];
  readonly puppetdbs: Map<string, ToyPuppetDb>;
  readonly #puppet = createAuthorityCa("control", "puppet", wallMs());
  readonly #above = createAuthorityCa("control", "above", wallMs());
  readonly #edge = createAuthorityCa("edge", "edge", wallMs());
  readonly #running = new Map<string, ChildProcess>();
  readonly output: string[] = [];
  more: Record<string, unknown> = {};
  /** By courier: the step before which it crashes when it is started next. */
  readonly crashes = new Map<string, number>();

  private constructor(folder: string, ids: string[], ports: number[], puppetdbs: string[]) {
    this.folder = folder;
    this.ids = ids;
    this.ports = ports;
    this.puppetdbs = new Map(puppetdbs.map((id) => [id, new ToyPuppetDb(id)]));
  }

  /** `puppetdbs`: how many of the couriers have a PuppetDB, the first ones. */
  static async make(options: { couriers: number; puppetdbs: number }): Promise<TestCouriers> {
    const folder = await mkdtemp(join(tmpdir(), "couriers-"));
    const ids = Array.from({ length: options.couriers }, (_, index) => `s${index + 1}.test`);
    const ports = await freePorts(options.couriers * 2);
    const made = new TestCouriers(folder, ids, ports, ids.slice(0, options.puppetdbs));
    for (const toy of made.puppetdbs.values()) await toy.start();
    for (const id of ids) await made.#writeFiles(id);
    return made;
  }

  toy(id: string): ToyPuppetDb {
    const toy = this.puppetdbs.get(id);
    if (toy === undefined) throw new Error(`${id} has no PuppetDB`);
    return toy;
  }

  /** Starts a courier, or all; resolves when it takes commands. */
  async start(...ids: string[]): Promise<void> {
    await Promise.all((ids.length === 0 ? this.ids : ids).map(async (id) => this.#start(id)));
  }

  isRunning(id: string): boolean {
    const child = this.#running.get(id);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async kill(id: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#running.get(id);
    if (child === undefined) return;
    this.#running.delete(id);
    // One that has ended by itself ends no more.
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    if (signal !== "SIGSTOP") await gone;
  }

  /** A certificate of the Puppet CA's. */
  certificate(name: string): Certificate {
    return issue(this.#puppet, "control", name);
  }

  /** One request to a courier as PuppetDB's clients make it; status 0: it broke off. */
  async ask(
    id: string,
    path: string,
    options: {
      body?: Buffer | string;
      headers?: Record<string, string>;
      as?: string;
      /** Instead of a fresh certificate for `as`. */
      identity?: Certificate;
      method?: string;
      /** Keeps the connection. */
      agent?: Agent;
    } = {},
  ): Promise<{ status: number; text: string; headers: IncomingMessage["headers"] }> {
    const { body, headers = {}, as = this.ids[0] ?? "" } = options;
    const { identity = this.certificate(as) } = options;
    return new Promise((resolve) => {
      const broken = (error: Error) => resolve({ status: 0, text: error.message, headers: {} });
      const outgoing = request({
        host: "127.0.0.1",
        port: this.#port(id),
        path,
        method: options.method ?? (body === undefined ? "GET" : "POST"),
        headers: {
          "content-type": "application/json; charset=utf-8",
          ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
          ...headers,
        },
        ca: this.#puppet.certificatePem,
        ...identity,
        // Node.js keeps no connection whose server was checked in a way of one's own.
        ...(options.agent === undefined
          ? { checkServerIdentity: () => undefined, agent: false }
          : { rejectUnauthorized: false, agent: options.agent }),
      });
      outgoing.on("error", broken);
      outgoing.on("response", (incoming) => {
        let text = "";
        incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        incoming.on("error", broken);
        incoming.on("end", () =>
          resolve({ status: incoming.statusCode ?? 0, text, headers: incoming.headers }),
        );
      });
      outgoing.end(body);
    });
  }

  /** Sends a report or another command about `certname`. */
  async command(
    id: string,
    certname: string,
    more: { command?: string; version?: number; at?: string; body?: object } = {},
  ): Promise<number> {
    const { command = "store_report", version = 8, at = new Date(wallMs()).toISOString() } = more;
    const query = `command=${command}&version=${version}&certname=${certname}&producer-timestamp=${at}`;
    const body = JSON.stringify({ certname, producer_timestamp: at, ...more.body });
    return (await this.ask(id, `/pdb/cmd/v1?${query}`, { body })).status;
  }

  async status(id: string): Promise<Record<string, unknown>> {
    const { text } = await this.ask(id, "/understudy/courier/v1/status");
    return JSON.parse(text) as Record<string, unknown>;
  }

  /** The file with what it knows of deleted nodes. */
  async deleted(id: string): Promise<string> {
    return (await readIfThere(join(this.folder, id, "state/deleted"))) ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.keys()].map(async (id) => this.kill(id)));
    await Promise.all(
      [...this.puppetdbs.values()].map(async (toy) => toy.stop().catch(() => undefined)),
    );
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Gives a courier a CRL of the Puppet CA's with these serials. */
  async writeCrl(id: string, serials: string[]): Promise<void> {
    await writeFile(join(this.folder, id, "puppet.crl"), this.#crls(serials));
  }

  #crls(serials: string[]): string {
    const revoked = serials.map((serialHex) => ({ serialHex, atMs: wallMs() }));
    const above = renderAuthorityCrl(this.#above, { number: 1, revoked: [] }, wallMs());
    return above + renderAuthorityCrl(this.#puppet, { number: 1, revoked }, wallMs());
  }

  #port(id: string, peer = false): number {
    return this.ports[this.ids.indexOf(id) * 2 + (peer ? 1 : 0)] ?? 0;
  }

  async #writeFiles(id: string): Promise<void> {
    const folder = join(this.folder, id);
    await mkdir(folder);
    const file = (name: string) => join(folder, name);
    const puppet = this.certificate(id);
    const [door, client] = [issue(this.#edge, "authority", id), issue(this.#edge, "edge", id)];
    // As Puppet's CA has them: of the CA above too, and that one first.
    const crl = this.#crls([]);
    const files: Record<string, string> = {
      "puppet.crt": puppet.cert,
      "puppet.key": puppet.key,
      "puppet-ca.crt": `${this.#above.certificatePem}${this.#puppet.certificatePem}`,
      "puppet.crl": crl,
      "door.crt": door.cert,
      "door.key": door.key,
      "client.crt": client.cert,
      "client.key": client.key,
      "edge-ca.crt": this.#edge.certificatePem,
    };
    for (const [name, text] of Object.entries(files)) await writeFile(file(name), text);
  }

  async #writeConfig(id: string): Promise<string> {
    const file = (name: string) => join(this.folder, id, name);
    const local = this.puppetdbs.get(id);
    const config = renderCourierConfig({
      format: 1,
      id,
      listen: { address: "127.0.0.1", port: this.#port(id) },
      peerListen: { address: "127.0.0.1", port: this.#port(id, true) },
      tls: {
        cert: file("puppet.crt"),
        key: file("puppet.key"),
        ca: file("puppet-ca.crt"),
        crl: file("puppet.crl"),
      },
      peerTls: {
        cert: file("door.crt"),
        key: file("door.key"),
        clientCert: file("client.crt"),
        clientKey: file("client.key"),
        ca: file("edge-ca.crt"),
      },
      allow: this.ids,
      couriers: this.ids
        .filter((other) => other !== id)
        .map((other) => ({
          id: other,
          address: "127.0.0.1",
          port: this.#port(other, true),
          hostname: leafHostname("authority", other),
        })),
      puppetdbs: [...this.puppetdbs.keys()],
      ...(local && { localPuppetdb: `http://127.0.0.1:${local.port}` }),
      stateDir: file("state"),
      ...this.more,
    });
    await writeFile(file("courier.json"), config);
    return file("courier.json");
  }

  async #start(id: string): Promise<void> {
    const path = await this.#writeConfig(id);
    const program = join(import.meta.dirname, "program.ts");
    const crashAt = this.crashes.get(id);
    this.crashes.delete(id);
    const argv = [program, path, ...(crashAt === undefined ? [] : [String(crashAt)])];
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
    this.#running.set(id, child);
    child.stderr
      .setEncoding("utf8")
      .on("data", (text: string) => this.output.push(`${id} ${text}`));
    await Promise.race([
      once(child.stdout, "data"),
      once(child, "exit").then(() => {
        throw new Error(`the courier of ${id} ended at its start:\n${this.output.join("")}`);
      }),
    ]);
  }
}

function issue(
  authority: ReturnType<typeof createAuthorityCa>,
  leaf: LeafName,
  id: string,
): Certificate {
  const key = generateEcKey();
  const request = createRequest({ commonName: id, key });
  const { pem } = issueLeaf(authority, leaf, { id, address: "127.0.0.1" }, request, wallMs());
  return { cert: pem, key: exportPkcs8(key) };
}
