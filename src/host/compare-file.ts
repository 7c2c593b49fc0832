// Whether a file is what it should be, for a hundred thousand small ones.

import { closeSync, openSync, readSync } from "node:fs";
import { messageOf } from "../base/fault.ts";
import { isMissing } from "./files.ts";

/**
 * Compares a small file with what it should be, at once: it is in the page cache, and a hundred
 * thousand of them one promise after the other take ten times as long. Throws what the file system
 * says, with the path.
 */
export function compareFileSync(path: string, content: string): "same" | "other" | "missing" {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    if (isMissing(error)) return "missing";
    throw error;
  }
  try {
    const wanted = Buffer.byteLength(content);
    // One byte more, which would be one too many.
    const room = wanted + 1;
    if (buffer.length < room + wanted) buffer = Buffer.allocUnsafeSlow((room + wanted) * 2);
    buffer.write(content, room);
    let length = 0;
    for (let more = 1; more > 0 && length < room; length += more) {
      more = readSync(file, buffer, length, room - length, length);
    }
    const same = length === wanted && buffer.compare(buffer, room, room + wanted, 0, length) === 0;
    return same ? "same" : "other";
  } catch (error) {
    // Of a folder in a file's place node doesn't say which.
    throw new Error(`${path}: ${messageOf(error)}`, { cause: error });
  } finally {
    closeSync(file);
  }
}

/** One for every comparison: what is there, then what should be. */
let buffer = Buffer.alloc(0);
