// Bytes that a process may need again and that memory is too dear for: a file without a name, gone
// with the process. Reads are synchronous, and come from the page cache in microseconds. Danger:
// nothing in it is synced; what must not be lost is elsewhere too.

import { randomBytes } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

export interface Scratch {
  /** Throws what the file system says; then nothing of it counts. */
  write(bytes: Buffer, at: number): void;
  /** Throws when so much isn't there. */
  read(at: number, length: number): Buffer;
  close(): void;
}

/** A scratch file in `folder`, which must not be in memory itself. Throws what the system says. */
export function openScratch(folder: string): Scratch {
  const path = join(folder, `.scratch-${randomBytes(6).toString("hex")}`);
  const file = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return {
    write(bytes, at) {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(file, bytes, done, bytes.length - done, at + done);
      }
    },
    read(at, length) {
      const bytes = Buffer.allocUnsafe(length);
      for (let done = 0; done < length;) {
        const more = readSync(file, bytes, done, length - done, at + done);
        if (more === 0) throw new Error(`the scratch file in ${folder} ends at ${at + done}`);
        done += more;
      }
      return bytes;
    },
    close: () => closeSync(file),
  };
}
