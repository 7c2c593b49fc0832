// What is to be brought to the CA directory. A job names a file and how to find out what belongs in
// it; that is asked when it is written, so that a job which waited never brings back what was.

import { existsSync, readFileSync } from "node:fs";
import { certificatePem } from "../x509/certificate.ts";
import type { InventoryLine } from "./inventory.ts";
import type { CaLayout } from "./layout.ts";
import type { Mirror } from "./mirror.ts";
import { renderSerialFile, type Serial } from "./serial.ts";

/** What belongs in a file: its content, `gone`, or `unknown` for now, so that it is left alone. */
export type Wanted = { content: string | Buffer } | "gone" | "unknown";

/** One thing to bring to the directory. All are idempotent. */
export type DirectoryJob =
  | { do: "file"; path: string; wanted: () => Wanted }
  | { do: "inventory"; lines: readonly InventoryLine[] };

/** A file with fixed content. */
export function fileJob(path: string, content: string | Buffer): DirectoryJob {
  return { do: "file", path, wanted: () => ({ content }) };
}

/** A name's certificate as memory has it by then. */
export function signedJob(mirror: Mirror, layout: CaLayout, certname: string): DirectoryJob {
  const wanted = (): Wanted => {
    if (!mirror.tables.names.has(certname)) return "gone";
    const content = currentPem(mirror, certname);
    return content === undefined ? "unknown" : { content };
  };
  return { do: "file", path: layout.signedFile(certname), wanted };
}

/** A name's request as memory has it by then. */
export function requestJob(mirror: Mirror, layout: CaLayout, certname: string): DirectoryJob {
  const wanted = (): Wanted => {
    const row = mirror.tables.requests.get(certname);
    return row === undefined ? "gone" : { content: row.pem };
  };
  return { do: "file", path: layout.requestFile(certname), wanted };
}

/**
 * The next serial for stock's tools, in place of `seen`, what the file said when that was decided.
 * Danger: a tool may have taken a serial since, and must not be given it again.
 */
export function serialJob(layout: CaLayout, seen: string, next: number): DirectoryJob {
  const content = renderSerialFile(next);
  const wanted = (): Wanted => (readSync(layout.serial) === seen ? { content } : "unknown");
  return { do: "file", path: layout.serial, wanted };
}

function readSync(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** The current certificate of a name in PEM; undefined when memory hasn't got it. */
export function currentPem({ tables }: Mirror, certname: string): string | undefined {
  const serial = tables.names.get(certname)?.serial;
  const der = serial === undefined ? undefined : tables.certs.get(serial)?.der;
  return der === undefined ? undefined : certificatePem(der);
}

/** The line of a certificate; undefined for a serial that isn't known. */
export function inventoryLine({ tables }: Mirror, serial: Serial): InventoryLine | undefined {
  const row = tables.certs.get(serial);
  if (row === undefined) return undefined;
  const { certname, notBeforeMs, notAfterMs } = row;
  return { serial, certname, notBeforeMs, notAfterMs };
}

/** What jobs come to together; `lines` is undefined when none is about the inventory. */
export function combineJobs(jobs: readonly DirectoryJob[]): {
  writes: Map<string, string | Buffer>;
  removes: Set<string>;
  lines: InventoryLine[] | undefined;
} {
  const writes = new Map<string, string | Buffer>();
  const removes = new Set<string>();
  // The last word on each file wins.
  const files = new Map<string, () => Wanted>();
  for (const job of jobs) if (job.do === "file") files.set(job.path, job.wanted);
  for (const [path, wanted] of files) {
    const now = wanted();
    if (now === "gone") removes.add(path);
    else if (now !== "unknown") writes.set(path, now.content);
  }
  const aboutInventory = jobs.flatMap((job) => (job.do === "inventory" ? [job.lines] : []));
  return {
    writes,
    removes,
    lines: aboutInventory.length === 0 ? undefined : aboutInventory.flat(),
  };
}
