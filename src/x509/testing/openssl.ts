// The openssl command as an oracle for tests: what it makes we must read, what we make it must
// read and verify. Runs synchronously in a folder of its own.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const DEADLINE_MS = 60_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** A folder that goes away when the test file ends, and openssl inside it. */
export function opensslFolder() {
  const folder = mkdtempSync(join(tmpdir(), "understudy-x509-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs openssl with these words; its standard output and error together. Throws if it fails. */
  function openssl(...words: string[]): string {
    const done = spawnSync("openssl", words, {
      cwd: folder,
      encoding: "utf8",
      timeout: DEADLINE_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    if (done.status !== 0) {
      throw new Error(`openssl ${words.join(" ")}: ${done.stderr}${String(done.error ?? "")}`);
    }
    return done.stdout + done.stderr;
  }

  return {
    openssl,
    write: (name: string, content: string | Uint8Array) =>
      writeFileSync(join(folder, name), content),
    read: (name: string): Buffer => readFileSync(join(folder, name)),
  };
}
