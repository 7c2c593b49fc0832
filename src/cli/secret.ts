// A secret that somebody gives a command: from a file, from standard input, or typed unseen. Never
// as an argument: those are in the list of processes.

import { open } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { Fault, messageOf } from "../base/fault.ts";

const BYTES_MAX = 4096;

/** The first line of a file, or of standard input ("-"). Throws Fault `cli.option`. */
export async function readSecretFile(file: string, option: string): Promise<string> {
  try {
    if (file !== "-") return firstLine(await readStart(file));
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > BYTES_MAX) break;
    }
    return firstLine(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new Fault("cli.option", `${option} ${file} can't be read: ${messageOf(error)}`);
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

/** The first line of `text`, without its end. */
export function firstLine(text: string): string {
  return text.split("\n", 1)[0]?.replace(/\r$/, "") ?? "";
}

/** Asks on the terminal. Throws Fault `cli.interrupted`. */
export async function askUnseen(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    return await new Promise((resolve, reject) => {
      lines.once("line", resolve);
      // Ctrl-C and Ctrl-D end it without a line.
      lines.once("close", () => {
        reject(new Fault("cli.interrupted", "nothing was given, so nothing was changed"));
      });
    });
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
