// What clients of the certificate authority saw while it was tortured: one line of JSON for each
// request, with its time and its answer. The idea: only what was answered counts; a request without
// an answer may have been done or not.

import { z } from "zod";

/** When a request was sent and answered, milliseconds since the epoch; who sent it to which edge. */
const Asked = z.object({
  client: z.int(),
  server: z.string(),
  fromMs: z.number(),
  toMs: z.number(),
  /** 0: no answer in HTTP came. */
  status: z.int(),
});

/** A certificate in an answer. */
export const Seen = z.object({
  serial: z.string(),
  /** SHA-256 of the whole certificate, hexadecimal. */
  sha256: z.string(),
  /** SHA-256 of its public key. */
  key: z.string(),
});
export type Seen = z.infer<typeof Seen>;

export const Act = z.discriminatedUnion("op", [
  Asked.extend({ op: z.literal("submit"), name: z.string(), key: z.string() }),
  Asked.extend({ op: z.literal("fetch"), name: z.string(), seen: Seen.optional() }),
  Asked.extend({ op: z.literal("renew"), name: z.string(), seen: Seen.optional() }),
  Asked.extend({
    op: z.enum(["revoke", "clean"]),
    name: z.string(),
    /** Edges that had not confirmed when the answer came: they are asked again. */
    open: z.array(z.string()),
  }),
  /** A request with a client's certificate, which the edge lets pass or not. */
  Asked.extend({ op: z.literal("use"), name: z.string(), serial: z.string() }),
  Asked.extend({
    op: z.literal("crl"),
    number: z.int().optional(),
    sha256: z.string().optional(),
  }),
]);
export type Act = z.infer<typeof Act>;

/** What one server's CA directory says in the end. */
export interface LastState {
  server: string;
  /** Every line of inventory.txt. */
  inventory: { serial: string; name: string }[];
  /** Files in signed/, by name. */
  signed: Map<string, Seen>;
  crl: { number: number; sha256: string; serials: Set<string> };
}

/** The CRL that lay in a server's CA directory at some time. */
export interface CrlOnDisk {
  server: string;
  atMs: number;
  number: number;
  sha256: string;
}

export interface History {
  acts: readonly Act[];
  crls: readonly CrlOnDisk[];
  last: readonly LastState[];
  /** What every edge had confirmed in the end, and by when; undefined where there are no edges. */
  confirmed?: { atMs: number; serials: ReadonlySet<string> };
}

/** The acts in the lines of a file; a torn last line is left out. */
export function parseActs(text: string): Act[] {
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  return lines.filter((line) => line !== "").map((line) => Act.parse(JSON.parse(line)));
}

/** Whether the answer says that it was done. */
export function isDone({ status }: Pick<Act, "status">): boolean {
  return status >= 200 && status < 300;
}

/** Whether it may have been done: an answer in the 400s says that it was not. */
export function mayBeDone({ status }: Pick<Act, "status">): boolean {
  return status < 400 || status >= 500;
}
