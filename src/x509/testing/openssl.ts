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
    const { ok, text } = ask(...words);
    if (!ok) throw new Error(`openssl ${words.join(" ")}: ${text}`);
    return text;
  }

  /** The same for what may fail. */
  function ask(...words: string[]): { ok: boolean; text: string } {
    const done = spawnSync("openssl", words, {
      cwd: folder,
      encoding: "utf8",
      timeout: DEADLINE_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    const { status, stdout, stderr, error } = done;
    return { ok: status === 0, text: stdout + stderr + (error === undefined ? "" : String(error)) };
  }

  return {
    openssl,
    ask,
    write: (name: string, content: string | Uint8Array) =>
      writeFileSync(join(folder, name), content),
    read: (name: string): Buffer => readFileSync(join(folder, name)),
  };
}
