// A CA directory in stock's layout, made and kept by openssl alone: it stands in for Puppet Server.

import { appendFile, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../host/process.ts";
import { agentRequest } from "./fleet.ts";

/**
 * A CA directory in stock's layout, made by openssl alone: one CA, two certificates, one revoked.
 */
export async function makeStock(cadir: string): Promise<void> {
  const at = (name: string) => join(cadir, name);
  await mkdir(at("signed"));
  await mkdir(at("requests"));
  const openssl = (...args: string[]) => run(["openssl", ...args], { cwd: cadir });
  await openssl("genrsa", "-traditional", "-out", "ca_key.pem", "2048");
  await openssl(
    "req",
    "-x509",
    "-new",
    "-key",
    "ca_key.pem",
    "-out",
    "ca_crt.pem",
    "-days",
    "3650",
    "-subj",
    "/CN=Puppet CA: old.lab.test",
    "-set_serial",
    "1",
  );
  await openssl("rsa", "-in", "ca_key.pem", "-pubout", "-out", "ca_pub.pem");
  await writeFile(at("openssl.cnf"), OPENSSL_CONFIG);
  await writeFile(at("index.txt"), "");
  await writeFile(at("openssl-serial"), "0A\n");
  await writeFile(at("openssl-crlnumber"), "07\n");
  for (const name of ["web.lab.test", "gone.lab.test"]) {
    await openssl(
      "req",
      "-new",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-subj",
      `/CN=${name}`,
      "-out",
      `${name}.csr`,
    );
    await openssl(
      "ca",
      "-batch",
      "-config",
      "openssl.cnf",
      "-in",
      `${name}.csr`,
      "-notext",
      "-out",
      `signed/${name}.pem`,
    );
  }
  await openssl("ca", "-config", "openssl.cnf", "-revoke", "signed/gone.lab.test.pem");
  await openssl("ca", "-config", "openssl.cnf", "-gencrl", "-out", "ca_crl.pem");
  await writeFile(at("requests/waits.lab.test.pem"), await agentRequest("waits.lab.test"));
  await writeFile(
    at("inventory.txt"),
    "0x000a 2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC /CN=web.lab.test\n" +
      "0x0009 2020-01-01T00:00:00UTC 2021-01-01T00:00:00UTC /CN=old.lab.test\n" +
      "0x0030 2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC /CN=lost.lab.test\n",
  );
  await writeFile(at("serial"), "000C");
}

const OPENSSL_CONFIG = `
[ca]
default_ca = it
[it]
dir = .
database = ./index.txt
serial = ./openssl-serial
crlnumber = ./openssl-crlnumber
certificate = ./ca_crt.pem
private_key = ./ca_key.pem
new_certs_dir = .
default_md = sha256
default_days = 365
default_crl_days = 365
policy = any
[any]
commonName = supplied
`;

/** Signs with stock's CA, as stock does: certificate, inventory line, next serial. */
export async function stockSigns(cadir: string, name: string, request: string): Promise<void> {
  await writeFile(join(cadir, `${name}.csr`), request);
  const serial = (await readFile(join(cadir, "openssl-serial"), "utf8")).trim();
  const files = ["-in", `${name}.csr`, "-out", `signed/${name}.pem`];
  await stockRuns(cadir, "-batch", "-notext", ...files);
  const times = "2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC";
  await appendFile(join(cadir, "inventory.txt"), `0x00${serial} ${times} /CN=${name}\n`);
  await cp(join(cadir, "openssl-serial"), join(cadir, "serial"));
}

/** Revokes with it, and publishes the next CRL. */
export async function stockRevokes(cadir: string, name: string): Promise<void> {
  await stockRuns(cadir, "-revoke", `signed/${name}.pem`);
  await stockRuns(cadir, "-gencrl", "-out", "ca_crl.pem");
}

const stockRuns = (cadir: string, ...args: string[]) =>
  run(["openssl", "ca", "-config", "openssl.cnf", ...args], { cwd: cadir });
