// The last resort behind the edge: certificates, the CA certificate and the CRL straight from
// Puppet's CA directory, looked at per request. It knows no etcd and no daemon, so agents that only
// fetch go on (P5). So does an agent that lost its certificate: it sends its request again, hears
// that it has one already, as of any CA, and fetches it. Danger: it serves what is on this disk;
// anything that changes the CA must never be answered here.

import { readFile, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import { exists, isMissing, readIfThere } from "../host/files.ts";

/**
 * systemd hands the socket over as the first descriptor after standard error (sd_listen_fds(3)).
 */
const SYSTEMD_SOCKET = 3;
const KEEP_ALIVE_MS = 75_000;
const NAME = /^(?!\.)[a-z0-9._-]{1,250}$/;

const ENDPOINT =
  /^\/puppet-ca\/v1\/(certificate|certificate_request|certificate_revocation_list)\/([^/]+)$/;

/** A CRL of 500,000 entries is some 25 MB. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

const PUPPET_CONFS = ["/etc/puppetlabs/puppet/puppet.conf", "/etc/puppet/puppet.conf"];
const CA_DIRECTORIES = [
  "/etc/puppetlabs/puppetserver/ca",
  "/etc/puppet/puppetserver/ca",
  "/etc/puppetlabs/puppet/ssl/ca",
  "/var/lib/puppet/ssl/ca",
];

interface Answer {
  status: number;
  body: string | Buffer;
}

/** Serves on the socket that systemd holds. Throws Fault `edge.no-ca-directory`. */
export async function runFileServer(): Promise<void> {
  const server = createFileServer(await findCaDirectory());
  server.listen({ fd: SYSTEMD_SOCKET });
}

/**
 * The CA directory of this server: the `cadir` setting, else where the packages keep it. puppet
 * itself can't be asked, since for a user other than root it answers with settings of that user.
 */
export async function findCaDirectory(root = "/"): Promise<string> {
  const set = await Promise.all(PUPPET_CONFS.map(async (path) => cadirIn(join(root, path))));
  const candidates = [...set.filter((path) => path !== undefined), ...CA_DIRECTORIES];
  for (const path of candidates.map((each) => join(root, each))) {
    if (await exists(join(path, "ca_crt.pem"))) return path;
  }
  throw new Fault("edge.no-ca-directory", "there is no Puppet CA directory on this server", {
    hints: [`Looked for ca_crt.pem in ${candidates.join(", ")}.`],
  });
}

async function cadirIn(conf: string): Promise<string | undefined> {
  const text = (await readIfThere(conf).catch(() => undefined)) ?? "";
  return /^\s*cadir\s*=\s*(\/[^\s$#]*)\s*$/m.exec(text)?.[1];
}

/** An HTTP server over the CA directory `cadir`; the caller listens. */
export function createFileServer(cadir: string): Server {
  const readCrl = sharedReader(join(cadir, "ca_crl.pem"), "the CRL");
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (incoming, outgoing) => {
    incoming.resume();
    void answer(incoming, cadir, readCrl).then((said) => send(outgoing, said));
  });
}

/**
 * Reads `path` again only when it has changed: it is large, and all answers that are under way
 * share one copy of it, however many agents take theirs slowly.
 */
function sharedReader(path: string, what: string): () => Promise<Answer> {
  let kept: { version: string; answer: Promise<Answer> } | undefined;
  return async () => {
    const version = await stat(path, { bigint: true }).then(
      ({ ino, size, ctimeNs }) => `${ino} ${size} ${ctimeNs}`,
      () => "",
    );
    if (version !== "" && kept?.version === version) {
      const said = await kept.answer;
      if (said.status === 200) return said;
    }
    kept = { version, answer: read(path, what) };
    return kept.answer;
  };
}

async function answer(
  incoming: IncomingMessage,
  cadir: string,
  readCrl: () => Promise<Answer>,
): Promise<Answer> {
  const path = (incoming.url ?? "").split("?")[0] ?? "";
  const [, endpoint, name = ""] = ENDPOINT.exec(path) ?? [];
  if (incoming.method === "PUT" && endpoint === "certificate_request") {
    return refuseKnown(cadir, name);
  }
  if (incoming.method !== "GET") return unavailable();
  if (path === "/health") return { status: 200, body: "running" };
  if (endpoint === undefined || endpoint === "certificate_request") return unavailable();
  if (endpoint === "certificate_revocation_list") return readCrl();
  if (name === "ca") return read(join(cadir, "ca_crt.pem"), "certificate ca");
  if (!NAME.test(name)) return missing(`certificate ${name}`);
  return read(join(cadir, "signed", `${name}.pem`), `certificate ${name}`);
}

/** As the CA answers a request for a name that has a certificate. */
async function refuseKnown(cadir: string, name: string): Promise<Answer> {
  if (!NAME.test(name) || !(await exists(join(cadir, "signed", `${name}.pem`)))) {
    return unavailable();
  }
  const body = `${name} already has a signed certificate; ignoring certificate request`;
  return { status: 400, body };
}

async function read(path: string, what: string): Promise<Answer> {
  try {
    const body = await readFile(path);
    // Cut short by a full disk or a copy under way: an agent would store it.
    const whole = body.length > 0 && body.length <= FILE_BYTES_MAX && body.includes("-----END ");
    return whole
      ? { status: 200, body }
      : { status: 503, body: `${what} is damaged on this server` };
  } catch (error) {
    if (isMissing(error)) return missing(what);
    return { status: 503, body: `${what} can't be read on this server` };
  }
}

function missing(what: string): Answer {
  return { status: 404, body: `Could not find ${what}` };
}

function unavailable(): Answer {
  return {
    status: 503,
    body: "No certificate authority answers: only certificates and the CRL can be had.",
  };
}

function send(outgoing: ServerResponse, { status, body }: Answer): void {
  outgoing.writeHead(status, {
    "content-type": "text/plain",
    "content-length": Buffer.byteLength(body),
  });
  outgoing.end(body);
}
