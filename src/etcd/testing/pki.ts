// A throw-away certificate authority for tests, made with the openssl command so that nothing of
// ours checks itself. Never used outside tests.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../host/process.ts";

export interface TestLeaf {
  certPath: string;
  keyPath: string;
  cert: string;
  key: string;
  serial: number;
}

export interface TestPki {
  caPath: string;
  ca: string;
  crlPath: string;
  /** A certificate with serverAuth and clientAuth, for `ips` if given. */
  issue(name: string, ips?: string[]): Promise<TestLeaf>;
  /** Puts `serial` on the CRL and rewrites its file. */
  revoke(serial: number): Promise<void>;
}

const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const NO_CA = "basicConstraints=critical,CA:FALSE";
const FAR = "20491231235959Z";

/** Makes a CA with an empty CRL in `folder`. */
export async function createTestPki(folder: string): Promise<TestPki> {
  await mkdir(folder, { recursive: true });
  const at = (name: string) => join(folder, name);
  const [caPath, caKey, crlPath] = [at("ca.pem"), at("ca.key"), at("crl.pem")];
  const root = ["-subj", "/CN=etcd test CA", "-days", "30", "-keyout", caKey, "-out", caPath];
  await run(["openssl", "req", "-x509", ...CURVE, ...root]);
  await writeFile(
    at("ca.cnf"),
    `[ca]\ndefault_ca = here\n[here]\ndatabase = ${at("index.txt")}\ndefault_md = sha256\n` +
      `crlnumber = ${at("crlnumber")}\ndefault_crl_days = 30\n`,
  );
  await writeFile(at("crlnumber"), "01\n");
  const revoked = new Set<number>();
  const writeCrl = async () => {
    await writeFile(at("index.txt"), [...revoked].map(indexLine).join(""));
    const files = ["-config", at("ca.cnf"), "-cert", caPath, "-keyfile", caKey, "-out", crlPath];
    await run(["openssl", "ca", "-gencrl", ...files]);
  };
  await writeCrl();
  let next = 4096;
  return {
    caPath,
    ca: await readFile(caPath, "utf8"),
    crlPath,
    async issue(name, ips = []) {
      const serial = next++;
      const [certPath, keyPath] = [at(`${name}.pem`), at(`${name}.key`)];
      const names = ips.map((ip) => `IP:${ip}`).join(",");
      const leaf = ["-subj", `/CN=${name}`, "-days", "30", "-set_serial", String(serial)];
      const uses = ["-addext", "extendedKeyUsage=serverAuth,clientAuth", "-addext", NO_CA];
      const hosts = names === "" ? [] : ["-addext", `subjectAltName=${names}`];
      const files = ["-CA", caPath, "-CAkey", caKey, "-keyout", keyPath, "-out", certPath];
      await run(["openssl", "req", "-x509", ...CURVE, ...leaf, ...uses, ...hosts, ...files]);
      const [cert, key] = [await readFile(certPath, "utf8"), await readFile(keyPath, "utf8")];
      return { certPath, keyPath, cert, key, serial };
    },
    async revoke(serial) {
      revoked.add(serial);
      await writeCrl();
    },
  };
}

/** A revoked certificate as openssl's own database lists it. */
function indexLine(serial: number): string {
  const hex = serial.toString(16).toUpperCase().padStart(4, "0");
  return `R\t${FAR}\t250101000000Z\t${hex}\tunknown\t/CN=x\n`;
}
