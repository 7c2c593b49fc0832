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
const FAR = "20491231235959Z";

/** Makes a CA with an empty CRL in `folder`. */
export async function createTestPki(folder: string): Promise<TestPki> {
  await mkdir(folder, { recursive: true });
  const at = (name: string) => join(folder, name);
  const [caPath, caKey, crlPath] = [at("ca.pem"), at("ca.key"), at("crl.pem")];
  await run([
    ...["openssl", "req", "-x509", ...CURVE, "-subj", "/CN=etcd test CA", "-days", "30"],
    ...["-keyout", caKey, "-out", caPath],
  ]);
  await writeFile(
    at("ca.cnf"),
    `[ca]\ndefault_ca = here\n[here]\ndatabase = ${at("index.txt")}\ndefault_md = sha256\n` +
      `crlnumber = ${at("crlnumber")}\ndefault_crl_days = 30\n`,
  );
  await writeFile(at("crlnumber"), "01\n");
  const revoked: number[] = [];
  const writeCrl = async () => {
    const hex = (serial: number) => serial.toString(16).toUpperCase().padStart(4, "0");
    const line = (serial: number) => `R\t${FAR}\t250101000000Z\t${hex(serial)}\tunknown\t/CN=x\n`;
    await writeFile(at("index.txt"), revoked.map(line).join(""));
    await run([
      ...["openssl", "ca", "-gencrl", "-config", at("ca.cnf"), "-cert", caPath],
      ...["-keyfile", caKey, "-out", crlPath],
    ]);
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
      await run([
        ...["openssl", "req", "-x509", "-CA", caPath, "-CAkey", caKey, ...CURVE],
        ...["-subj", `/CN=${name}`, "-days", "30", "-set_serial", String(serial)],
        ...["-addext", "extendedKeyUsage=serverAuth,clientAuth"],
        ...["-addext", "basicConstraints=critical,CA:FALSE"],
        ...(names === "" ? [] : ["-addext", `subjectAltName=${names}`]),
        ...["-keyout", keyPath, "-out", certPath],
      ]);
      const [cert, key] = [await readFile(certPath, "utf8"), await readFile(keyPath, "utf8")];
      return { certPath, keyPath, cert, key, serial };
    },
    async revoke(serial) {
      revoked.push(serial);
      await writeCrl();
    },
  };
}
