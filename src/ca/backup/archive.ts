// What is inside a backup: compressed lines of JSON, the manifest first, then each file of the CA
// directory with its name. Danger: an archive may be anybody's who knows the passphrase. Names come
// from a closed list, so that none leads out of the directory; a link can't even be said.

import { pipeline, Readable } from "node:stream";
import { createGunzip, createGzip } from "node:zlib";
import { z } from "zod";
import { Fault, messageOf } from "../../base/fault.ts";
import { linesIn } from "../../base/lines.ts";
import { isCertname } from "../certname.ts";
import { caLayout } from "../layout.ts";
import { Manifest } from "./manifest.ts";
import { damagedFault } from "./seal.ts";

/** Longest line: a CRL or an inventory of a million certificates and more. */
const LINE_BYTES_MAX = 128 * 1024 * 1024;
/** Most files: Puppet's serials end at 2^31, its directories long before. */
const FILES_MAX = 4_000_000;

/** A file of the CA directory. */
export interface ArchiveFile {
  /** Below the directory: `ca_crt.pem`, `signed/web7.example.com.pem`. */
  path: string;
  content: Buffer;
}

/** A JSON string has characters: each stands for a byte, so that any file comes back as it was. */
const FileLine = z.strictObject({ path: z.string().max(300), bytes: z.string() });

const NAMES = caLayout("");
/** Files that there is one of. */
const SINGLE: ReadonlySet<string> = new Set([
  NAMES.bundle,
  NAMES.key,
  NAMES.publicKey,
  NAMES.rootKey,
  NAMES.crl,
  NAMES.serial,
  NAMES.inventory,
  NAMES.infraInventory,
  NAMES.infraSerials,
]);

/** The bytes of an archive. */
export function pack(manifest: Manifest, files: Iterable<ArchiveFile>): AsyncIterable<Buffer> {
  const gzip = createGzip();
  // What fails ends the reading of `gzip`, too.
  pipeline(Readable.from(renderLines(manifest, files)), gzip, () => undefined);
  return gzip;
}

/** What an archive has, in its order; one manifest first. Throws Fault `ca.backup-damaged`. */
export async function* unpack(
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<{ manifest: Manifest } | { file: ArchiveFile }> {
  const gunzip = createGunzip();
  pipeline(Readable.from(bytes), gunzip, () => undefined);
  const seen = new Set<string>();
  let first = true;
  try {
    for await (const line of linesIn(gunzip, LINE_BYTES_MAX)) {
      const json = parseLine(line);
      if (first) yield { manifest: check(Manifest, json) };
      else yield { file: readFile(json, seen) };
      first = false;
    }
  } catch (error) {
    throw error instanceof Fault ? error : damagedFault(messageOf(error));
  }
  if (first) throw damagedFault("it is empty");
}

/** Whether a file of a CA directory may have this name. */
export function isArchivePath(path: string): boolean {
  if (SINGLE.has(path)) return true;
  const [, certname] = /^(?:signed|requests)\/([^/]+)\.pem$/.exec(path) ?? [];
  return certname !== undefined && isCertname(certname);
}

function* renderLines(manifest: Manifest, files: Iterable<ArchiveFile>): Generator<string> {
  yield `${JSON.stringify(manifest)}\n`;
  for (const { path, content } of files) {
    yield `${JSON.stringify({ path, bytes: content.toString("latin1") })}\n`;
  }
}

function parseLine(line: Buffer): unknown {
  if (line.at(-1) !== 0x0a) throw damagedFault("its last line isn't whole, or too long");
  try {
    return JSON.parse(line.toString("utf8"));
  } catch {
    throw damagedFault("a line is no JSON");
  }
}

function readFile(json: unknown, seen: Set<string>): ArchiveFile {
  const { path, bytes } = check(FileLine, json);
  if (!isArchivePath(path)) {
    throw damagedFault(`a CA directory has no file ${JSON.stringify(path)}`);
  }
  if (seen.has(path)) throw damagedFault(`${path} is in it twice`);
  if (seen.size >= FILES_MAX) throw damagedFault(`it has more than ${FILES_MAX} files`);
  seen.add(path);
  return { path, content: Buffer.from(bytes, "latin1") };
}

function check<T>(schema: z.ZodType<T>, json: unknown): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw damagedFault(z.prettifyError(parsed.error).replaceAll("\n", " "));
}
