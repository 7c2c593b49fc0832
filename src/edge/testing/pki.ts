// Certificates for tests of the edge, made by openssl: a Puppet CA of two levels, one of another
// owner, and the edge CA. Keys are P-256, so that a set takes a moment only.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../host/process.ts";
import { toolEnv, toolPath } from "../../../scripts/tools.ts";

/** A certificate with its key, as PEM and as files. */
export interface Leaf {
  cert: string;
  key: string;
  /** Certificate and key in one file. */
  pemFile: string;
}

export interface LeafOptions {
  subject: string;
  /** Issuer, by the name it was made under. */
  ca: string;
  serial?: string;
  alt?: string;
  isCa?: boolean;
  /** openssl's `-nameopt`-free extra arguments for `openssl req`. */
  more?: string[];
}

async function openssl(args: string[]): Promise<string> {
  return run([toolPath("openssl"), ...args], { env: toolEnv() });
}

/** A folder in which certificates are made. */
export class Pki {
  readonly folder: string;
  #serial = 100;

  constructor(folder: string) {
    this.folder = folder;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  /** A certificate signed by itself. */
  async root(name: string, subject: string): Promise<void> {
    await this.#key(name);
    const self = ["req", "-x509", "-new", "-utf8", "-days", "3650", "-set_serial", "1"];
    const key = ["-key", this.file(`${name}.key`)];
    await openssl([...self, ...key, "-subj", subject, "-out", this.file(`${name}.crt`)]);
  }

  async leaf(name: string, options: LeafOptions): Promise<Leaf> {
    await this.#key(name);
    const extensions = [
      `basicConstraints=critical,CA:${options.isCa === true ? "TRUE" : "FALSE"}`,
      ...(options.alt === undefined ? [] : [`subjectAltName=${options.alt}`]),
    ];
    const ext = this.file(`${name}.ext`);
    const csr = this.file(`${name}.csr`);
    await writeFile(ext, extensions.join("\n"));
    const subject = ["-subj", options.subject, "-utf8", ...(options.more ?? [])];
    await openssl(["req", "-new", "-key", this.file(`${name}.key`), ...subject, "-out", csr]);
    this.#serial += 1;
    const ca = ["-CA", this.file(`${options.ca}.crt`), "-CAkey", this.file(`${options.ca}.key`)];
    const serial = ["-set_serial", options.serial ?? String(this.#serial)];
    const from = ["x509", "-req", "-in", csr, "-extfile", ext, "-days", "365"];
    await openssl([...from, ...ca, ...serial, "-out", this.file(`${name}.crt`)]);
    return this.read(name);
  }

  async read(name: string): Promise<Leaf> {
    const cert = await readFile(this.file(`${name}.crt`), "utf8");
    const key = await readFile(this.file(`${name}.key`), "utf8");
    const pemFile = this.file(`${name}.pem`);
    await writeFile(pemFile, cert + key, { mode: 0o600 });
    return { cert, key, pemFile };
  }

  async bundle(name: string, parts: string[]): Promise<string> {
    const texts = await Promise.all(
      parts.map((part) => readFile(this.file(`${part}.crt`), "utf8")),
    );
    await writeFile(this.file(name), texts.join(""));
    return this.file(name);
  }

  /** openssl's own RFC 2253 text of a certificate's issuer. */
  async issuerText(name: string): Promise<string> {
    const args = [
      "x509",
      "-noout",
      "-issuer",
      "-nameopt",
      "RFC2253",
      "-in",
      this.file(`${name}.crt`),
    ];
    return (await openssl(args)).trim().replace(/^issuer=/, "");
  }

  async #key(name: string): Promise<void> {
    const curve = ["-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve"];
    const out = ["-out", this.file(`${name}.key`)];
    await openssl(["genpkey", "-algorithm", "EC", ...curve, ...out]);
  }
}

/** What every test of the edge needs. */
export interface TestPki {
  pki: Pki;
  puppetCaFile: string;
  edgeCaFile: string;
  /** RFC 2253 text of the issuing CA's name. */
  issuer: string;
  server: Leaf;
  agent: Leaf;
  edgeClient: Leaf;
  puppetserver: Leaf;
}

/**
 * Puppet CA (root and issuing), edge CA, the edge's certificates and those of an agent
 * `agent1.test`.
 */
export async function makePki(folder: string): Promise<TestPki> {
  const pki = new Pki(folder);
  await Promise.all([
    pki.root("root", "/CN=Puppet Root CA: 0123456789abcd"),
    pki.root("edgeca", "/CN=Understudy edge CA"),
  ]);
  await pki.leaf("issuing", { subject: "/CN=Puppet CA: s1.test", ca: "root", isCa: true });
  const [server, agent, edgeClient, puppetserver] = await Promise.all([
    pki.leaf("server", { subject: "/CN=s1.test", ca: "issuing", alt: "DNS:s1.test,DNS:puppet" }),
    pki.leaf("agent", { subject: "/CN=agent1.test", ca: "issuing", serial: "0x0a" }),
    pki.leaf("edgeclient", { subject: "/CN=edge s1", ca: "edgeca" }),
    pki.leaf("puppetserver", { subject: "/CN=ps.test", ca: "edgeca", alt: "DNS:ps.test" }),
  ]);
  const puppetCaFile = await pki.bundle("puppetca.pem", ["issuing", "root"]);
  const edgeCaFile = pki.file("edgeca.crt");
  const issuer = await pki.issuerText("agent");
  return { pki, puppetCaFile, edgeCaFile, issuer, server, agent, edgeClient, puppetserver };
}
