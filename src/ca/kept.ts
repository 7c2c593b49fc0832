// What 100,000 rows keep, in little memory: bytes in a few large pieces, which go to a scratch file
// when they are full, and one string where thousands say the same.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { openScratch, type Scratch } from "../host/scratch.ts";

/** Bytes of one piece: hundreds of certificates. */
const PIECE_BYTES = 1024 * 1024;

/** Bytes that a list reads of the scratch file at once: dozens of texts that follow each other. */
const AHEAD_BYTES = 64 * 1024;

/** Where some bytes are kept: in a piece, from one of its bytes to another. */
export interface Place {
  piece: number;
  from: number;
  to: number;
}

/** Keeps bytes one behind the other. They are never given up singly. */
export class ByteKeeper {
  /** Pieces in memory; one that isn't there is in the scratch file, at its number. */
  readonly #pieces: (Buffer | undefined)[] = [];
  readonly #log: Log | undefined;
  #scratch: Scratch | undefined;
  /** Whether further pieces stay in memory: the disk didn't take one. */
  #stays = false;
  /** Bytes of the last piece that are taken; more than all: there is none to write to. */
  #used = PIECE_BYTES + 1;

  /** `folder`: where the scratch file may be. Without one, all is kept in memory. */
  constructor(folder?: string, log?: Log) {
    this.#log = log;
    try {
      this.#scratch = folder === undefined ? undefined : openScratch(folder);
    } catch (error) {
      this.#inMemory(error);
    }
  }

  /** Keeps what `text` says in this encoding. */
  keep(text: string, encoding: "base64" | "utf8"): Place {
    const most = Buffer.byteLength(text, encoding);
    if (most > PIECE_BYTES) {
      const bytes = Buffer.from(text, encoding);
      // A piece of its own, and the next text begins another.
      this.#pieces.push(bytes);
      this.#used = PIECE_BYTES + 1;
      return { piece: this.#pieces.length - 1, from: 0, to: bytes.length };
    }
    if (this.#used + most > PIECE_BYTES) this.#begin();
    const piece = this.#pieces.length - 1;
    const from = this.#used;
    this.#used += this.#pieces[piece]?.write(text, from, encoding) ?? 0;
    return { piece, from, to: this.#used };
  }

  /** The bytes at `place`; where they are in the scratch file, throws what the system says. */
  read({ piece, from, to }: Place): Buffer {
    const bytes = this.#pieces[piece];
    if (bytes !== undefined) return bytes.subarray(from, to);
    if (this.#scratch === undefined) throw new Error("what was kept has been closed");
    return this.#scratch.read(piece * PIECE_BYTES + from, to - from);
  }

  /** A `read` for many places, most of which follow each other: it reads the file some way ahead. */
  reader(): (place: Place) => Buffer {
    let ahead: { piece: number; from: number; bytes: Buffer } = {
      piece: -1,
      from: 0,
      bytes: Buffer.alloc(0),
    };
    return (place) => {
      const { piece, from, to } = place;
      if (this.#pieces[piece] !== undefined) return this.read(place);
      const isThere = piece === ahead.piece && from >= ahead.from;
      if (!isThere || to > ahead.from + ahead.bytes.length) {
        const end = Math.max(to, Math.min(from + AHEAD_BYTES, PIECE_BYTES));
        ahead = { piece, from, bytes: this.read({ piece, from, to: end }) };
      }
      return ahead.bytes.subarray(from - ahead.from, to - ahead.from);
    };
  }

  close(): void {
    this.#scratch?.close();
    this.#scratch = undefined;
  }

  /** Puts the full piece away and starts the next. */
  #begin(): void {
    const number = this.#pieces.length - 1;
    const full = this.#pieces[number];
    if (full?.length === PIECE_BYTES && !this.#stays) {
      try {
        this.#scratch?.write(full, number * PIECE_BYTES);
        if (this.#scratch !== undefined) this.#pieces[number] = undefined;
      } catch (error) {
        this.#inMemory(error);
      }
    }
    // Always another one: views of the last may be in use. Not from Node's pool, and not filled
    // with zeros that nobody reads.
    this.#pieces.push(Buffer.allocUnsafeSlow(PIECE_BYTES));
    this.#used = 0;
  }

  #inMemory(error: unknown): void {
    this.#stays = true;
    this.#log?.warn("certificates stay in memory: no scratch file", { why: messageOf(error) });
  }
}

/** Gives the former string where the next one is equal to it: those of one import are. */
export function createTextKeeper(): (text: string) => string {
  let last = "";
  return (text) => (text === last ? last : (last = text));
}
