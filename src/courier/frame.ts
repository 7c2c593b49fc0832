// How one spooled command lies in a file: sixteen bytes (mark, lengths, checksum), what is known of
// it as JSON, its body as it came. A frame is whole or it isn't there: after a power cut the last
// one may be torn, and its checksum tells.

import { crc32 } from "node:zlib";
import { z } from "zod";
import type { CommandHead } from "./command.ts";

const MARK = 0x55434d31;
const FIXED_BYTES = 16;
/** No head is longer; more is damage. */
const HEAD_BYTES_MAX = 64 * 1024;
export const CONTENT_TYPE_MAX = 200;

/** What is kept of a command besides its body. */
export interface SpooledHead extends CommandHead {
  /** Answered to the client; the same in every copy. */
  id: string;
  /** When it was taken, milliseconds since the epoch. */
  takenMs: number;
  /** In a copy for another courier: the command's number there. */
  originSeq?: number;
}

const Head = z.object({
  id: z.string(),
  takenMs: z.number(),
  kind: z.enum([
    "catalog",
    "facts",
    "inputs",
    "report",
    "deactivation",
    "expiration",
    "deletion",
    "upload",
  ]),
  certname: z.string(),
  producerMs: z.number(),
  query: z.string(),
  encoding: z.literal("gzip").optional(),
  uncompressed: z.string().optional(),
  contentType: z.string().max(CONTENT_TYPE_MAX).optional(),
  sha256: z.string().optional(),
  originSeq: z.int().optional(),
});

/** The text of a head, as it is in frames and between couriers. */
export function renderHead(head: SpooledHead): string {
  return JSON.stringify(head);
}

/** Throws where `text` is no head. */
export function parseHead(text: string): SpooledHead {
  return Head.parse(JSON.parse(text)) as SpooledHead;
}

/** A frame's bytes, in pieces to be written one after the other. */
export function renderFrame(head: SpooledHead, body: Buffer): Buffer[] {
  const text = Buffer.from(renderHead(head));
  const fixed = Buffer.alloc(FIXED_BYTES);
  fixed.writeUInt32BE(MARK, 0);
  fixed.writeUInt32BE(text.length, 4);
  fixed.writeUInt32BE(body.length, 8);
  fixed.writeUInt32BE(crc32(body, crc32(text)), 12);
  return [fixed, text, body];
}

export interface Framed {
  head: SpooledHead;
  /** Where its body begins in the file, and how long it is, in bytes. */
  bodyAt: number;
  bodyBytes: number;
}

/** What is known of the frames of a file, as text: a line for each. */
export function renderIndex(frames: readonly Framed[]): string {
  const lines = frames.map(
    ({ head, bodyAt, bodyBytes }) => `${bodyAt} ${bodyBytes} ${renderHead(head)}\n`,
  );
  return lines.join("");
}

/** Undefined where `text` is damaged. */
export function parseIndex(text: string): Framed[] | undefined {
  const lines = text.split("\n").filter((line) => line !== "");
  try {
    return lines.map((line) => {
      const [bodyAt = "", bodyBytes = ""] = line.split(" ", 2);
      const head = parseHead(line.slice(bodyAt.length + bodyBytes.length + 2));
      return { head, bodyAt: Number(bodyAt), bodyBytes: Number(bodyBytes) };
    });
  } catch {
    return undefined;
  }
}

/**
 * The whole frames of `bytes` in order, and where the last of them ends: what follows is torn.
 */
export function scanFrames(bytes: Buffer): { frames: Framed[]; end: number } {
  const frames: Framed[] = [];
  let end = 0;
  for (;;) {
    const frame = frameAt(bytes, end);
    if (frame === undefined) return { frames, end };
    frames.push(frame);
    end = frame.bodyAt + frame.bodyBytes;
  }
}

/** Whether a whole frame lies anywhere behind `end`: then what is damaged there was no torn end. */
export function hasFrameBehind(bytes: Buffer, end: number): boolean {
  const mark = Buffer.alloc(4);
  mark.writeUInt32BE(MARK);
  for (let at = bytes.indexOf(mark, end + 1); at >= 0; at = bytes.indexOf(mark, at + 1)) {
    if (frameAt(bytes, at) !== undefined) return true;
  }
  return false;
}

function frameAt(bytes: Buffer, at: number): Framed | undefined {
  if (bytes.length < at + FIXED_BYTES || bytes.readUInt32BE(at) !== MARK) return undefined;
  const headBytes = bytes.readUInt32BE(at + 4);
  const bodyBytes = bytes.readUInt32BE(at + 8);
  const bodyAt = at + FIXED_BYTES + headBytes;
  if (headBytes > HEAD_BYTES_MAX || bytes.length < bodyAt + bodyBytes) return undefined;
  const text = bytes.subarray(at + FIXED_BYTES, bodyAt);
  const sum = crc32(bytes.subarray(bodyAt, bodyAt + bodyBytes), crc32(text));
  if (sum !== bytes.readUInt32BE(at + 12)) return undefined;
  try {
    return { head: parseHead(text.toString("utf8")), bodyAt, bodyBytes };
  } catch {
    return undefined;
  }
}
