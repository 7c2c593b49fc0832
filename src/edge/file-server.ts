// The last resort behind the edge: certificates, the CA certificate and the CRL straight from Puppet's CA
// directory, read per request. It knows no etcd and no daemon, so agents that only fetch go on (P5).
// Danger: it serves what is on this disk; anything that changes the CA must never be answered here.

import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { isMissing } from "../host/files.ts";
import { readPuppetLayout } from "../host/puppet-layout.ts";

/** systemd hands the socket over as the first descriptor after standard error (sd_listen_fds(3)). */
const SYSTEMD_SOCKET = 3;
const KEEP_ALIVE_MS = 75_000;
const NAME = /^(?!\.)[a-z0-9._-]{1,253}$/;

interface Answer {
  status: number;
  body: string | Buffer;
}

/** Serves on the socket that systemd holds. */
export async function runFileServer(): Promise<void> {
  const { cadir } = await readPuppetLayout();
  const server = createFileServer(cadir);
  server.listen({ fd: SYSTEMD_SOCKET });
}

/** An HTTP server over the CA directory `cadir`; the caller listens. */
export function createFileServer(cadir: string): Server {
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (incoming, outgoing) => {
    void answer(incoming, cadir).then((said) => send(outgoing, said));
  });
}

async function answer(incoming: IncomingMessage, cadir: string): Promise<Answer> {
  const path = (incoming.url ?? "").split("?")[0] ?? "";
  if (incoming.method !== "GET") return unavailable();
  if (path === "/health") return { status: 200, body: "running" };
  const [, endpoint, name = ""] =
    /^\/puppet-ca\/v1\/(certificate|certificate_revocation_list)\/([^/]+)$/.exec(path) ?? [];
  if (endpoint === "certificate_revocation_list")
    return readAnswer(join(cadir, "ca_crl.pem"), name);
  if (endpoint === undefined) return unavailable();
  if (name === "ca") return readAnswer(join(cadir, "ca_crt.pem"), name);
  if (!NAME.test(name)) return missing(name);
  return readAnswer(join(cadir, "signed", `${name}.pem`), name);
}

async function readAnswer(path: string, name: string): Promise<Answer> {
  try {
    return { status: 200, body: await readFile(path) };
  } catch (error) {
    if (isMissing(error)) return missing(name);
    return { status: 500, body: "the file can't be read" };
  }
}

function missing(name: string): Answer {
  return { status: 404, body: `Could not find certificate ${name}` };
}

function unavailable(): Answer {
  return {
    status: 503,
    body: "no certificate authority answers: only certificates and the CRL can be had",
  };
}

function send(outgoing: ServerResponse, { status, body }: Answer): void {
  outgoing.writeHead(status, {
    "content-type": "text/plain",
    "content-length": Buffer.byteLength(body),
  });
  outgoing.end(body);
}
