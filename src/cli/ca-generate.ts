// understudy ca generate: key and certificate for a name, made on this server and put where Puppet
// looks for them. The key is on disk before its certificate is asked for, so that an interruption
// leaves nothing without a key; the same command goes on from there.

import { rm } from "node:fs/promises";
import { isIP } from "node:net";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { Fault, isFault } from "../base/fault.ts";
import { createFileAtomic, exists, makeFolder, readIfThere } from "../host/files.ts";
import { readPuppetLayout } from "../host/puppet-layout.ts";
import { findOwner } from "../host/users.ts";
import { CaCertificate } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { subjectAltName } from "../x509/extensions.ts";
import { exportPkcs1, exportSpki, generateRsaKey, readPrivateKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { copiesLine } from "./copies.ts";
import { createOutput } from "./output.ts";
import { requireRoot } from "./pass-preflight.ts";

const KEY_BITS = 4096;
const SIGN_MS = 60_000;

export function addCaGenerate(ca: Command): void {
  ca.command("generate")
    .argument("<certname>", "the name of the certificate")
    .description("make a key and a certificate on this server, for who can't ask himself")
    .option("--alt-name <name...>", "further DNS names and IP addresses")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy ca generate db.example.com --alt-name db\n\n" +
        "Writes private_keys, public_keys and certs in Puppet's ssldir. What is there is never overwritten.\n\n" +
        "Exit code: 0 signed, 1 refused or failed: the same command goes on.",
    )
    .action(async (certname: string, flags: { altName?: string[]; json?: boolean }) => {
      requireRoot();
      const files = await filesOf(certname);
      const signed = await generate(certname, flags.altName ?? [], files, async (pem) => {
        const options = { body: { pem }, answer: CaCertificate, withinMs: SIGN_MS };
        return callDaemon("POST", "/v1/ca/generate", options);
      });
      const { certificate, privateKey } = files;
      createOutput(flags.json === true).result(
        { certname, certificate, privateKey, copies: signed.copies, of: signed.of },
        renderGenerated(signed, files),
      );
    });
}

/** Codes that say that nothing was signed, and never will be as it is. */
const REFUSALS = ["ca.name-taken", "ca.request-refused"];

/**
 * Makes the files; `sign` has the request signed. Throws Fault `ca.file-there`, and what `sign`
 * throws: where that refuses, nothing is left of it.
 */
export async function generate(
  certname: string,
  others: readonly string[],
  files: Files,
  sign: (requestPem: string) => Promise<CaCertificate>,
): Promise<CaCertificate> {
  if (await exists(files.certificate)) throw thereAlready(files.certificate);
  const { key, isNew } = await keyAt(files);
  const request = createRequest({
    commonName: certname,
    key,
    extensions: [altNames([certname, ...others])],
  });
  const signed = await sign(request).catch(async (error: unknown) => {
    const isRefused = REFUSALS.some((code) => isFault(error, code));
    if (isNew && isRefused) await Promise.all([rm(files.privateKey), rm(files.publicKey)]);
    throw error;
  });
  await write(files, files.certificate, signed.pem, 0o644);
  return signed;
}

/** What was made, where it is, and on which servers the CA has it. */
export function renderGenerated(
  signed: Pick<CaCertificate, "certname" | "copies" | "of">,
  { certificate, privateKey }: Pick<Files, "certificate" | "privateKey">,
): string {
  const lines = [`${signed.certname}: signed`, `  ${certificate}`, `  ${privateKey}`];
  return [...lines, copiesLine(signed)].join("\n");
}

export type Files = Awaited<ReturnType<typeof filesOf>>;

async function filesOf(certname: string) {
  if (!/^[a-z0-9._-]{1,253}$/.test(certname)) {
    throw new Fault(
      "cli.option",
      `"${certname}" is no certname: lower-case letters, digits, . _ -`,
    );
  }
  const { ssldir, puppetserver } = await readPuppetLayout();
  const owner = await findOwner(puppetserver.user, puppetserver.group);
  const at = (folder: string) => join(ssldir, folder, `${certname}.pem`);
  return {
    owned: owner === undefined ? {} : { owner },
    privateKey: at("private_keys"),
    publicKey: at("public_keys"),
    certificate: at("certs"),
  };
}

/** The key that an interrupted command has left, else a new one, on disk. */
async function keyAt(files: Files) {
  const kept = await readIfThere(files.privateKey);
  if (kept === undefined && (await exists(files.publicKey))) throw thereAlready(files.publicKey);
  const key = kept === undefined ? await generateRsaKey(KEY_BITS) : readPrivateKey(kept);
  if (kept === undefined) await write(files, files.privateKey, exportPkcs1(key), 0o640);
  if (!(await exists(files.publicKey))) {
    await write(files, files.publicKey, exportSpki(key), 0o644);
  }
  return { key, isNew: kept === undefined };
}

async function write(files: Files, path: string, text: string, mode: number): Promise<void> {
  const folder = dirname(path);
  if (!(await exists(folder))) await makeFolder(folder, { mode: 0o750, ...files.owned });
  await createFileAtomic(path, text, { mode, ...files.owned }).catch((error: unknown) => {
    const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
    throw isThere ? thereAlready(path) : error;
  });
}

function altNames(names: readonly string[]) {
  return subjectAltName(
    [...new Set(names)].map((value) => ({ type: isIP(value) === 0 ? "DNS" : "IP", value })),
  );
}

function thereAlready(path: string): Fault {
  return new Fault("ca.file-there", `${path} is there already: nothing was changed`, {
    hints: ["Move it away first, if it isn't needed any more."],
  });
}
