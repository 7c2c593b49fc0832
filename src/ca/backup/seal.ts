// A file under a passphrase. One line of JSON says how the key is made of it (scrypt, RFC 7914);
// then come chunks of 64 KiB, each encrypted and authenticated (AES-256-GCM) together with that
// line, its nonce made of its place and whether it is the last. So nothing that was changed, moved
// or cut off is handed on, and nobody holds more than a chunk. Danger: a salt that is used twice
// repeats nonces.

import { createCipheriv, createDecipheriv, randomBytes, scrypt } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { z } from "zod";
import { Fault } from "../../base/fault.ts";

const CHUNK_BYTES = 64 * 1024;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES_MAX = 1024;
const CIPHER = "aes-256-gcm";

/** scrypt's cost when we write: 128 MiB of memory, some tenths of a second. */
const COST = 2 ** 17;
/** What we read with at most, and at least: whoever made the file chose it. */
const COST_MAX = 2 ** 18;
export const COST_MIN = 2 ** 14;
const BLOCK = 8;

const Header = z.strictObject({
  format: z.literal("understudy-ca-backup-1"),
  kdf: z.literal("scrypt"),
  n: z
    .int()
    .min(COST_MIN)
    .max(COST_MAX)
    .refine((n) => Number.isInteger(Math.log2(n)), { error: "not a power of two" }),
  r: z.literal(BLOCK),
  p: z.literal(1),
  salt: z.base64().length(24),
  cipher: z.literal(CIPHER),
  chunk: z.literal(CHUNK_BYTES),
});
type Header = z.infer<typeof Header>;

/** A sealed file whose passphrase was turned into its key. */
export interface Unlocked {
  /** What was sealed, from the beginning. Throws Fault `ca.backup-passphrase`, `ca.backup-damaged`. */
  read(): AsyncGenerator<Buffer>;
}

/** `plain` sealed under `passphrase`. */
export async function* seal(
  plain: AsyncIterable<Buffer>,
  passphrase: string,
  cost = COST,
): AsyncGenerator<Buffer> {
  const header: Header = {
    format: "understudy-ca-backup-1",
    kdf: "scrypt",
    n: cost,
    r: BLOCK,
    p: 1,
    salt: randomBytes(SALT_BYTES).toString("base64"),
    cipher: CIPHER,
    chunk: CHUNK_BYTES,
  };
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  const key = await deriveKey(passphrase, header);
  const encrypt = (chunk: Buffer, index: number, last: boolean) => {
    const cipher = createCipheriv(CIPHER, key, nonceOf(index, last)).setAAD(line);
    return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
  };
  yield line;
  let index = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of plain) {
    rest = Buffer.concat([rest, piece]);
    // Only what follows shows that a chunk wasn't the last.
    for (; rest.length > CHUNK_BYTES; rest = rest.subarray(CHUNK_BYTES)) {
      yield encrypt(rest.subarray(0, CHUNK_BYTES), index, false);
      index += 1;
    }
  }
  yield encrypt(rest, index, true);
}

/** Makes the key for `file`. Throws Fault `ca.backup-format` where it is no sealed file. */
export async function unlock(file: FileHandle, passphrase: string): Promise<Unlocked> {
  const line = await readHeaderLine(file);
  const key = await deriveKey(passphrase, parseHeader(line));
  return { read: () => readChunks(file, line, key) };
}

async function* readChunks(file: FileHandle, line: Buffer, key: Buffer): AsyncGenerator<Buffer> {
  const { size } = await file.stat();
  let at = line.length;
  for (let index = 0, last = false; !last; index += 1) {
    const sealed = await readAt(file, at, Math.min(size - at, CHUNK_BYTES + TAG_BYTES));
    at += sealed.length;
    last = at >= size;
    const chunk = decrypt(sealed, { line, key, nonce: nonceOf(index, last) });
    if (chunk === undefined) throw index === 0 ? passphraseFault() : damagedFault(`at byte ${at}`);
    yield chunk;
  }
}

function decrypt(
  sealed: Buffer,
  { line, key, nonce }: { line: Buffer; key: Buffer; nonce: Buffer },
): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv(CIPHER, key, nonce, options).setAAD(line);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const body = decipher.update(sealed.subarray(0, -TAG_BYTES));
  try {
    return Buffer.concat([body, decipher.final()]);
  } catch {
    return undefined;
  }
}

async function readHeaderLine(file: FileHandle): Promise<Buffer> {
  const start = await readAt(file, 0, HEADER_BYTES_MAX);
  return start.subarray(0, start.indexOf("\n") + 1);
}

function parseHeader(line: Buffer): Header {
  let json: unknown;
  try {
    json = JSON.parse(line.toString("utf8"));
  } catch {
    throw formatFault("it doesn't begin as one does");
  }
  const header = Header.safeParse(json);
  if (header.success) return header.data;
  throw formatFault(z.prettifyError(header.error).replaceAll("\n", " "));
}

async function deriveKey(passphrase: string, { n, r, p, salt }: Header): Promise<Buffer> {
  const secret = passphrase.normalize("NFC");
  const options = { N: n, r, p, maxmem: 2 * 128 * n * r };
  return new Promise((resolve, reject) => {
    scrypt(secret, Buffer.from(salt, "base64"), KEY_BYTES, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** Of the place and whether it is the last: no chunk passes for another. */
function nonceOf(index: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUIntBE(index, NONCE_BYTES - 7, 6);
  nonce[NONCE_BYTES - 1] = last ? 1 : 0;
  return nonce;
}

/** `length` bytes from `at`; fewer where the file ends. */
async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.max(0, length));
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** The Fault for an archive that isn't as it was written; nothing was made of it. */
export function damagedFault(what: string): Fault {
  return new Fault("ca.backup-damaged", `the backup is damaged or cut off: ${what}`, {
    hints: ["Nothing was changed. Take another copy of it, or an earlier one."],
  });
}

function passphraseFault(): Fault {
  return new Fault(
    "ca.backup-passphrase",
    "the backup doesn't open: the passphrase is another one, or its first bytes are damaged",
    {
      hints: ["Nothing was changed. Compare its checksum with the other copy's, if there is one."],
    },
  );
}

function formatFault(because: string): Fault {
  return new Fault("ca.backup-format", `this is no backup that can be read here: ${because}`, {
    hints: [
      "Nothing was changed. understudy ca backup makes one. A newer version may have written it:",
      "then install that version here.",
    ],
  });
}
