// Authorities for tests: a real etcd, one CA made once per test file, any number of servers on it,
// each with its own CA directory below the system's temporary folder.

import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import type { KeyObject } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../base/log.ts";
import type { Loop } from "../../base/loop.ts";
import { startEtcdCluster, type EtcdTestCluster } from "../../etcd/testing/cluster.ts";
import type { Etcd } from "../../etcd/types.ts";
import type { Extension } from "../../x509/extensions.ts";
import { generateRsaKey, spkiOf } from "../../x509/keys.ts";
import { createRequest } from "../../x509/request.ts";
import { createCa, type Ca, type CaDeps } from "../authority.ts";
import { createAuthority, writeAuthorityKey } from "../create.ts";
import { importAuthority } from "../import.ts";
import { createPolicyProgram } from "../policy-program.ts";
import { CA_PREFIX } from "../record.ts";
import { CA_SETTINGS_DEFAULT, type CaSettings } from "../settings.ts";

export interface TestServer {
  ca: Ca;
  cadir: string;
  etcd: Etcd;
  /** What it logged, one JSON text each. */
  logged: string[];
  /** Starts its loops. */
  run(): void;
  /** Ends loops and authority, as a stop of the daemon does. */
  stop(): Promise<void>;
  /** HTTP without a port. */
  fetch(method: string, path: string, options?: FetchOptions): Promise<Response>;
}

export interface FetchOptions {
  body?: string;
  headers?: Record<string, string>;
  /** Headers as the edge sets them for this certificate. */
  as?: { certname: string; pem: string };
}

export interface Fleet {
  cluster: EtcdTestCluster;
  folder: string;
  settings: CaSettings;
  protectedNames: string[];
  /** A server on the fleet's record; the first one's directory is the CA's original. */
  server(member: string, changes?: Partial<CaDeps>): Promise<TestServer>;
  cadirOf(member: string): string;
  /** Ends every server and empties the record. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

/** A fleet without servers. `members`: of etcd. */
export async function startFleet(options: { members?: number } = {}): Promise<Fleet> {
  const cluster = await startEtcdCluster({ members: options.members ?? 1 });
  const folder = await mkdtemp(join(tmpdir(), "understudy-ca-"));
  const original = join(folder, "original");
  await createAuthority({ cadir: original, caName: "Puppet CA: s1.lab.test", keyBits: 2048 });
  let servers: TestServer[] = [];
  let round = 0;
  const prepare = async (cadir: string, first: boolean, etcd: Etcd) => {
    if (first) {
      await cp(original, cadir, { recursive: true });
      await importAuthority({ etcd, cadir });
    } else {
      const keyPem = await readFile(join(original, "ca_key.pem"), "utf8");
      await writeAuthorityKey({ cadir, keyPem });
    }
  };
  const fleet: Fleet = {
    cluster,
    folder,
    settings: { ...CA_SETTINGS_DEFAULT },
    protectedNames: ["s1.lab.test", "s2.lab.test", "puppet.lab.test"],
    cadirOf: (member) => join(folder, `${round}-${member}`),
    async server(member, changes = {}) {
      const etcd = changes.etcd ?? cluster.client();
      const cadir = changes.cadir ?? fleet.cadirOf(member);
      // A directory that is given is taken as it is.
      if (changes.cadir === undefined) await prepare(cadir, servers.length === 0, etcd);
      const server = await startServer(fleet, { member, cadir, ...changes, etcd });
      servers.push(server);
      return server;
    },
    async reset() {
      await Promise.all(servers.map((server) => server.stop()));
      servers = [];
      round += 1;
      const etcd = cluster.client();
      await etcd.transact({ when: [], then: [{ deletePrefix: CA_PREFIX }] });
      fleet.settings = { ...CA_SETTINGS_DEFAULT };
    },
    async close() {
      await Promise.all(servers.map((server) => server.stop()));
      await cluster.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return fleet;
}

type StartDeps = Partial<CaDeps> & Pick<CaDeps, "etcd" | "member" | "cadir">;

async function startServer(fleet: Fleet, deps: StartDeps): Promise<TestServer> {
  const logged: string[] = [];
  const ca = await createCa({
    settings: () => fleet.settings,
    protectedNames: () => fleet.protectedNames,
    memberNames: () => ["s1.lab.test", "s2.lab.test"],
    confirmCopies: async () => ({ copies: 1, of: [deps.member] }),
    confirmEdges: async () => ({ confirmed: [deps.member], missing: [] }),
    clockOffsetMs: () => undefined,
    log: createLog((line) => logged.push(line)),
    program: createPolicyProgram(),
    ...deps,
  });
  const stopped = new AbortController();
  let loops: Loop[] | undefined;
  return {
    ca,
    cadir: deps.cadir,
    etcd: deps.etcd,
    logged,
    run() {
      loops ??= ca.startLoops(stopped.signal);
    },
    async stop() {
      stopped.abort();
      await Promise.all((loops ?? []).map(({ ended }) => ended));
      await ca.close();
    },
    async fetch(method, path, { body, headers = {}, as } = {}) {
      const identity: Record<string, string> =
        as === undefined
          ? { "X-Client-Verify": "NONE" }
          : {
              "Content-Type": "application/json",
              "X-Client-Verify": "SUCCESS",
              "X-Client-DN": `"CN=${as.certname}"`,
              "X-Client-Cert": encodeURIComponent(as.pem),
            };
      return ca.routes.request(path, {
        method,
        headers: { ...identity, ...headers },
        ...(body === undefined ? {} : { body }),
      });
    },
  };
}

let sharedKey: Promise<KeyObject> | undefined;

/** One key for all agents of a test file: making keys is what takes time. */
export function agentKey(): Promise<KeyObject> {
  sharedKey ??= generateRsaKey(2048);
  return sharedKey;
}

/** A request in PEM, as an agent sends it. */
export async function agentRequest(
  commonName: string,
  extensions: readonly Extension[] = [],
): Promise<string> {
  return createRequest({ commonName, key: await agentKey(), extensions });
}

/** A server's certificate that may administer the CA. */
export async function adminOf(
  { ca }: TestServer,
  certname = "s1.lab.test",
): Promise<{ certname: string; pem: string }> {
  const spkiDer = spkiOf(await agentKey());
  const { pem } = await ca.signServerCertificate({ certname, spkiDer, altNames: [] });
  return { certname, pem };
}
