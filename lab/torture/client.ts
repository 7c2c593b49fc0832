// One client of the certificate authority that never rests: has certificates signed, renewed,
// revoked and cleaned on any server, and uses them, also what it must not. What it saw goes to
// `note`. The idea: a name belongs to one client, so what it knows of the name is all there is.

import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import { request } from "node:https";
import { pause } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import { parseCrls } from "../../src/x509/crl.ts";
import { exportPkcs8, generateEcKey, spkiOf } from "../../src/x509/keys.ts";
import { createRequest } from "../../src/x509/request.ts";
import type { Act, Seen } from "./history.ts";
import type { Random } from "./random.ts";

const EDGE_PORT = 8140;
/** Signing waits up to a minute for etcd's quorum. */
const ANSWER_MS_MAX = 75_000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** Names that a client keeps alive at most; older ones are cleaned first. */
const NAMES_MAX = 12;
const ASKS_MAX = 3;

export interface Server {
  name: string;
  address: string;
}

export interface ClientOptions {
  client: number;
  servers: readonly Server[];
  /** What may administer the CA: PEM. */
  admin: { cert: string; key: string };
  /** Names are made below it, and signed as they come. */
  domain: string;
  /** Makes names of several runs on one cluster different. */
  run: string;
  random: Random;
  note: (act: Act) => void;
  /** Between two acts at most, milliseconds: the servers share two cores with their clients. */
  restMs: number;
  /** Sends one request; by default on a connection of its own to the server's edge. */
  send?: typeof send;
}

export interface Identity {
  cert: string;
  key: string;
}

interface Owned {
  name: string;
  key: KeyObject;
  /** Certificates of its own that it knows, oldest first. */
  certificates: { pem: string; serial: string }[];
  revoked: boolean;
}

/** What a request carries: whose certificate, which body of which type. */
export interface Sending {
  as?: Identity;
  body?: string;
  type?: string;
}

export interface Answer {
  status: number;
  body: string;
}

type Sent = Pick<Act, "client" | "server" | "fromMs" | "toMs" | "status">;

export class Client {
  readonly #options: ClientOptions;
  readonly #owned: Owned[] = [];
  readonly #gone: Owned[] = [];
  #made = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Does one thing after a moment's rest, and notes it. */
  async act(): Promise<void> {
    const { random, restMs } = this.#options;
    await pause(random.next() * restMs);
    const own = this.#owned.length === 0 ? undefined : random.pick(this.#owned);
    const dice = random.next();
    if (own === undefined || dice < 0.25) await this.#enrol(dice < 0.06);
    else if (dice < 0.4) await this.#renew(own);
    else if (dice < 0.46) await Promise.all([this.#renew(own), this.#end(own, "revoke")]);
    else if (dice < 0.56 || this.#owned.length > NAMES_MAX) await this.#end(own, "clean");
    else if (dice < 0.66) await this.#end(own, "revoke");
    else if (dice < 0.76) await this.#readCrl();
    else await this.#use(this.#gone.length > 0 && dice < 0.9 ? random.pick(this.#gone) : own);
  }

  /** Uses everything that was revoked once more at every edge. */
  async useWhatIsGone(): Promise<void> {
    for (const gone of [...this.#gone, ...this.#owned.filter(({ revoked }) => revoked)]) {
      await Promise.all(this.#options.servers.map(async (server) => this.#use(gone, server)));
    }
  }

  /** Asks for a new name; for `twins`, with two keys on two servers at once. */
  async #enrol(twins: boolean): Promise<void> {
    const { client, domain, run } = this.#options;
    this.#made += 1;
    const name = `t${client}-${this.#made}-${run}.${domain}`;
    const keys = twins ? [generateEcKey(), generateEcKey()] : [generateEcKey()];
    await Promise.all(keys.map(async (key) => this.#submit(name, key)));
    for (let asks = 0; asks < ASKS_MAX; asks += 1) {
      const pem = await this.#fetch(name);
      if (pem === undefined) continue;
      const key = keys.find((each) => keyHash(spkiOf(each)) === seenIn(pem)?.key);
      const serial = seenIn(pem)?.serial;
      if (key === undefined || serial === undefined) return;
      this.#owned.push({ name, key, certificates: [{ pem, serial }], revoked: false });
      return;
    }
  }

  async #submit(name: string, key: KeyObject): Promise<void> {
    const body = createRequest({ commonName: name, key });
    const path = `certificate_request/${name}`;
    const { sent } = await this.#ask("PUT", path, { body, type: "text/plain" });
    this.#options.note({ ...sent, op: "submit", name, key: keyHash(spkiOf(key)) });
  }

  async #fetch(name: string): Promise<string | undefined> {
    const { sent, body } = await this.#ask("GET", `certificate/${name}`);
    const seen = sent.status === 200 ? seenIn(body) : undefined;
    this.#options.note({ ...sent, op: "fetch", name, ...(seen && { seen }) });
    return seen === undefined ? undefined : body;
  }

  async #renew(own: Owned): Promise<void> {
    const { name, certificates } = own;
    const as = identityOf(own, this.#options.random.pick(certificates).pem);
    const { sent, body } = await this.#ask("POST", "certificate_renewal", { as });
    const seen = sent.status === 200 ? seenIn(body) : undefined;
    this.#options.note({ ...sent, op: "renew", name, ...(seen && { seen }) });
    if (seen !== undefined) certificates.push({ pem: body, serial: seen.serial });
  }

  async #end(own: Owned, op: "revoke" | "clean"): Promise<void> {
    const { admin: as, note } = this.#options;
    const { name } = own;
    // Before the answer: it may be done although none comes.
    own.revoked = true;
    if (op === "clean") this.#forget(own);
    const body = JSON.stringify(
      op === "clean" ? { certnames: [name] } : { desired_state: "revoked" },
    );
    const path = op === "clean" ? "clean" : `certificate_status/${name}`;
    const { sent, body: said } = await this.#ask("PUT", path, {
      as,
      body,
      type: "application/json",
    });
    const open = /not confirmed yet by (.*), asked again/.exec(said)?.[1]?.split(", ") ?? [];
    note({ ...sent, op, name, open });
  }

  #forget(own: Owned): void {
    const at = this.#owned.indexOf(own);
    if (at >= 0) this.#owned.splice(at, 1);
    this.#gone.push(own);
  }

  async #use(own: Owned, server?: Server): Promise<void> {
    const certificate = this.#options.random.pick(own.certificates);
    const as = identityOf(own, certificate.pem);
    const { sent } = await this.#ask("GET", "certificate/ca", { as, ...(server && { server }) });
    this.#options.note({ ...sent, op: "use", name: own.name, serial: certificate.serial });
  }

  async #readCrl(): Promise<void> {
    const { sent, body } = await this.#ask("GET", "certificate_revocation_list/ca");
    const crl = sent.status === 200 ? parseCrls(body)[0] : undefined;
    const found = crl && { number: Number(crl.number ?? 0), sha256: hash(crl.der) };
    this.#options.note({ ...sent, op: "crl", ...found });
  }

  async #ask(
    method: string,
    path: string,
    options: Sending & { server?: Server } = {},
  ): Promise<{ sent: Sent; body: string }> {
    const { client, servers, random, send: ask = send } = this.#options;
    const server = options.server ?? random.pick(servers);
    const fromMs = wallMs();
    const { status, body } = await ask(server.address, method, `/puppet-ca/v1/${path}`, options);
    return { sent: { client, server: server.name, fromMs, toMs: wallMs(), status }, body };
  }
}

/** One request on a connection of its own. Status 0: there was no whole answer. */
function send(host: string, method: string, path: string, options: Sending): Promise<Answer> {
  const { as, body, type } = options;
  return new Promise((resolve) => {
    const fail = (error: Error) => resolve({ status: 0, body: error.message });
    const headers = {
      Accept: "*/*",
      ...(type === undefined ? {} : { "Content-Type": type }),
      ...(body === undefined ? {} : { "Content-Length": `${Buffer.byteLength(body)}` }),
    };
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const where = { host, port: EDGE_PORT, method, path, headers, signal };
    const outgoing = request({ ...where, ...as, agent: false, rejectUnauthorized: false });
    outgoing.on("error", fail);
    outgoing.on("response", (incoming) => {
      let text = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) incoming.destroy(new Error("the answer is too long"));
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, body: text }));
      incoming.on("error", fail);
    });
    outgoing.end(body);
  });
}

function identityOf({ key }: Owned, cert: string): Identity {
  return { cert, key: exportPkcs8(key) };
}

/** What is seen of a certificate in PEM; undefined when the text is none. */
export function seenIn(pem: string): Seen | undefined {
  try {
    const certificate = new X509Certificate(pem);
    const serial = certificate.serialNumber.replace(/^0+/, "");
    const key = keyHash(certificate.publicKey.export({ type: "spki", format: "der" }));
    return { serial, sha256: hash(certificate.raw), key };
  } catch {
    return undefined;
  }
}

function keyHash(spkiDer: Uint8Array): string {
  return hash(spkiDer);
}

export function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
