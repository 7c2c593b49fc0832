// The joiner's first look at a cluster: fetch the control CA from the TLS handshake and believe it
// only if its hash is the token's. Nothing secret is sent before that (a man in the middle learns
// nothing).

import { connect } from "node:tls";
import { Fault, messageOf } from "../base/fault.ts";
import { authorityHash, CONTROL_HOSTNAME } from "../cluster/pki.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { PORTS } from "../host/paths.ts";
import { parseCertificate, verifySignature } from "../x509/certificate.ts";
import { encodePem } from "../x509/pem.ts";

const HANDSHAKE_MS = 5000;

/**
 * The control CA's certificate (PEM) behind `url`. Throws `join.unreachable`, `join.wrong-ca`, or
 * `join.clock` where TLS would refuse that server for this one's clock.
 */
export async function fetchPinnedCa(
  url: URL,
  caHash: string,
  nowMs: number = wallMs(),
): Promise<string> {
  const chain = await readChain(url);
  for (const der of chain.slice(1)) {
    const pem = encodePem("CERTIFICATE", der);
    if (authorityHash(pem) !== caHash) continue;
    const leaf = parseCertificate(chain[0] ?? Buffer.alloc(0));
    if (!verifySignature(leaf, parseCertificate(pem).spkiDer)) continue;
    refuseClock(leaf, nowMs);
    return pem;
  }
  throw new Fault("join.wrong-ca", `${url.host} doesn't hold the cluster CA that the token names`, {
    hints: [
      "Either the token is of another cluster, or somebody answers in this server's place.",
      "Nothing was sent. Compare on the server: understudy token create",
    ],
  });
}

function refuseClock(leaf: { notBefore: number; notAfter: number }, nowMs: number): void {
  const { notBefore, notAfter } = leaf;
  if (nowMs >= notBefore && nowMs <= notAfter) return;
  const [from, to] = [notBefore, notAfter].map((ms) => isoTime(ms).slice(0, 10));
  throw new Fault(
    "join.clock",
    `by this server's clock it is ${isoTime(nowMs)}, and the cluster's certificate is for ${from} to ${to}`,
    { hints: ["Set the clock: chronyc makestep, or timedatectl. Nothing was sent."] },
  );
}

async function readChain(url: URL): Promise<Buffer[]> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || PORTS.control);
  const socket = connect({
    host,
    port,
    servername: CONTROL_HOSTNAME,
    minVersion: "TLSv1.3",
    // The chain is judged by the hash in the token, which is stronger than any name.
    rejectUnauthorized: false,
  });
  const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), HANDSHAKE_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
    });
    const chain: Buffer[] = [];
    let at = socket.getPeerCertificate(true);
    while (at?.raw !== undefined && chain.length < 8) {
      chain.push(at.raw);
      if (at.issuerCertificate === undefined || at.issuerCertificate.raw.equals(at.raw)) break;
      at = at.issuerCertificate;
    }
    return chain;
  } catch (error) {
    throw new Fault("join.unreachable", `no cluster answers at ${url.host}: ${messageOf(error)}`, {
      hints: [
        "The address is a server's control API, as in https://10.0.0.11:9140.",
        "There: systemctl status understudy; is a firewall between?",
      ],
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}
