// A passphrase: the first line of a file or of standard input, or typed on a terminal, unseen.

import { open } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { Fault, messageOf } from "../base/fault.ts";

/** A shorter one can be found by trying. */
export const PASSPHRASE_LENGTH_MIN = 12;
const BYTES_MAX = 4096;
const OPTION = "--passphrase-file";

/**
 * Reads it. `fresh`: one that is to protect something, so it must be long enough, and is asked for
 * twice. Throws Fault `cli.option`, `cli.interrupted`.
 */
export async function readPassphrase(file: string | undefined, fresh: boolean): Promise<string> {
  const text = file === undefined ? await ask(fresh) : firstLine(await readSource(file));
  const least = fresh ? PASSPHRASE_LENGTH_MIN : 1;
  // By characters as people count them.
  if (Array.from(text).length >= least) return text;
  throw new Fault(
    "cli.option",
    text === ""
      ? "the passphrase is empty"
      : `the passphrase has ${Array.from(text).length} characters, at least ${least} are needed`,
    { hints: ["Whoever finds it out has the CA's key. Five random words are a good one."] },
  );
}

/** The first line of `text`, without its end. */
export function firstLine(text: string): string {
  return text.split("\n", 1)[0]?.replace(/\r$/, "") ?? "";
}

async function readSource(file: string): Promise<string> {
  try {
    if (file !== "-") return await readStart(file);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > BYTES_MAX) break;
    }
    return Buffer.concat(chunks).toString("utf8");
  } catch (error) {
    throw new Fault("cli.option", `${OPTION} ${file} can't be read: ${messageOf(error)}`);
  }
}

async function readStart(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(BYTES_MAX), 0, BYTES_MAX);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function ask(twice: boolean): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new Fault("cli.option", "there is no passphrase, and nobody to ask for it", {
      hints: [`Use ${OPTION} FILE; "-" is standard input.`],
    });
  }
  const first = await askUnseen("Passphrase: ");
  if (!twice || (await askUnseen("Once more: ")) === first) return first;
  throw new Fault("cli.option", "the two passphrases differ: nothing was written");
}

async function askUnseen(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await new Promise((resolve, reject) => {
      lines.once("line", resolve);
      // Ctrl-C and Ctrl-D end it without a line.
      lines.once("close", () => {
        reject(new Fault("cli.interrupted", "no passphrase was given: nothing was changed"));
      });
    });
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
