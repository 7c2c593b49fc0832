// Certificates asked for by the dozen, straight over HTTP as agents do it, and read back from every
// server.

import { X509Certificate } from "node:crypto";
import { generateEcKey } from "../../src/x509/keys.ts";
import { createRequest } from "../../src/x509/request.ts";
import type { Cluster } from "../cluster.ts";
import type { LabHost } from "../host.ts";
import { type Answer, knock } from "./knock.ts";
import { AUTOSIGNED } from "./site.ts";

const EDGE_PORT = 8140;
export const CA_DIRECTORY = "/etc/puppet/puppetserver/ca";

/** The URL of `path` below /puppet-ca/v1 at the edge of `server`. */
export function caUrl(server: LabHost, path: string): string {
  return `https://${server.fqdn}:${EDGE_PORT}/puppet-ca/v1/${path}`;
}

/** `count` names that nobody has had before, signed as they come. */
export function freshNames(prefix: string, count: number): string[] {
  const base = `${prefix}-${Date.now().toString(36)}`;
  return Array.from({ length: count }, (_, index) => `${base}-${index}.${AUTOSIGNED}`);
}

/** Sends a request of its own key for `certname` to the edge of `server`. */
export async function submit(cluster: Cluster, server: LabHost, certname: string): Promise<Answer> {
  const body = createRequest({ commonName: certname, key: generateEcKey() });
  return put(cluster, server, certname, body);
}

/** Sends any text as the request for `certname`. */
export async function put(
  cluster: Cluster,
  server: LabHost,
  certname: string,
  body: string | Buffer,
): Promise<Answer> {
  const url = caUrl(server, `certificate_request/${certname}`);
  const headers = ["Content-Type: text/plain"];
  return knock(cluster.agentHost, url, { method: "PUT", body, headers });
}

/**
 * The certificate of `certname` as the edge of `server` gives it out; undefined when it has none.
 */
export async function fetchCertificate(
  cluster: Cluster,
  server: LabHost,
  certname: string,
): Promise<string | undefined> {
  const { status, body } = await askCertificate(cluster, server, certname);
  return status === 200 ? body : undefined;
}

async function askCertificate(cluster: Cluster, server: LabHost, name: string): Promise<Answer> {
  return knock(cluster.agentHost, caUrl(server, `certificate/${name}`));
}

/**
 * What keeps `names` from being the same certificates on all of `servers`; empty when nothing does.
 */
export async function listLost(
  cluster: Cluster,
  servers: readonly LabHost[],
  names: readonly string[],
): Promise<string[]> {
  const lost: string[] = [];
  for (const name of names) {
    const read = async (server: LabHost) => {
      const { status, body, because } = await askCertificate(cluster, server, name);
      return { status, body, because, server: server.name };
    };
    const found = await Promise.all(servers.map(read));
    const lacking = found.filter(({ status }) => status !== 200);
    for (const { server, status, body, because } of lacking) {
      lost.push(`${name} on ${server}: ${status} ${body}${because}`);
    }
    if (lacking.length === 0 && new Set(found.map(({ body }) => body)).size > 1) {
      lost.push(`${name} differs`);
    }
  }
  return lost;
}

export function serialOf(pem: string): bigint {
  return BigInt(`0x${new X509Certificate(pem).serialNumber}`);
}

/**
 * The number in the `serial` file of each server's CA directory: what stock tools would issue next.
 */
export async function serialFiles(cluster: Cluster): Promise<Map<string, number>> {
  const read = async (server: LabHost) => {
    const text = await server.readFile(`${CA_DIRECTORY}/serial`);
    return [server.name, Number.parseInt(text.trim(), 16)] as const;
  };
  return new Map(await Promise.all(cluster.servers.map(read)));
}

/** The CRL of each server, as its edge gives it out. */
export async function fetchCrls(cluster: Cluster): Promise<string[]> {
  const read = async (server: LabHost) =>
    (await knock(cluster.agentHost, caUrl(server, "certificate_revocation_list/ca"))).body;
  return Promise.all(cluster.servers.map(read));
}
