// Reports for other receivers, each kept once: an edge that repeats an agent's report on another
// puppetserver makes that upload it again, to another courier. The idea: whoever takes one asks the
// others first, by its hash; of two that are about to take the same, the first by name does.
// A courier that can't be asked may have taken it: then it goes out twice rather than never.

import { createHash } from "node:crypto";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { pause } from "../base/retry.ts";
import { eachHead, type Holdings } from "./holdings.ts";
import type { CourierPeers, UploadKnown } from "./peers.ts";
import type { Stream } from "./stream.ts";

/** Longer than an edge repeats a request. */
const REMEMBER_MS = 3_600_000;
const REMEMBER_MAX = 100_000;
/** How long another courier that is about to take the same one is waited for. */
const YIELD_MS = 5000;
const YIELD_EVERY_MS = 100;
const HOST = Buffer.from("\nhost: ");
const HOST_BYTES_MAX = 260;

export interface Upload {
  body: Buffer;
  contentType: string;
  encoding?: "gzip";
}

export interface Uploads {
  /** Copies of what other couriers took. */
  holdings: Holdings;
  /** Resolves when it is kept, here or by another courier. Throws Fault `courier.spool-…`. */
  take(upload: Upload): Promise<void>;
  known(sha256: string): UploadKnown;
  /** Another courier's upload, of which a copy is kept here now. */
  noteCopy(sha256: string): void;
}

export async function createUploads(
  stream: Stream,
  peers: CourierPeers,
  id: string,
): Promise<Uploads> {
  const taken = new Map<string, number>();
  const taking = new Map<string, Promise<void>>();
  const note = (sha256: string) => {
    taken.set(sha256, monotonicMs());
    for (const [old, atMs] of taken) {
      if (taken.size <= REMEMBER_MAX && monotonicMs() - atMs < REMEMBER_MS) break;
      taken.delete(old);
    }
  };
  for (const spool of stream.spools()) {
    await eachHead(spool, spool.first, ({ head }) => {
      if (head.sha256 !== undefined) note(head.sha256);
      return true;
    });
  }
  /** Whether another courier has it; waits for one that goes first. */
  const isElsewhere = async (sha256: string): Promise<boolean> => {
    const untilMs = monotonicMs() + YIELD_MS;
    for (;;) {
      const answers = await peers.askUpload(sha256);
      if (answers.some(({ knows }) => knows === "taken")) return true;
      const first = answers.some((one) => one.knows === "taking" && one.id < id);
      if (!first || monotonicMs() > untilMs) return false;
      await pause(YIELD_EVERY_MS);
    }
  };
  const take = async (sha256: string, { body, contentType, encoding }: Upload) => {
    if (await isElsewhere(sha256)) return note(sha256);
    const certname = hostIn(body);
    const kept = encoding === undefined ? {} : { encoding };
    const head = { kind: "upload" as const, certname, producerMs: wallMs(), query: "" };
    await stream.take({ ...head, ...kept, contentType, sha256 }, body);
    note(sha256);
  };
  return {
    holdings: stream.holdings,
    async take(upload) {
      const sha256 = createHash("sha256").update(upload.body).digest("hex");
      if (taken.has(sha256)) return;
      const before = taking.get(sha256);
      if (before !== undefined) return before;
      const now = take(sha256, upload).finally(() => taking.delete(sha256));
      taking.set(sha256, now);
      return now;
    },
    known: (sha256) => {
      if (taken.has(sha256)) return "taken";
      return taking.has(sha256) ? "taking" : "unknown";
    },
    noteCopy: note,
  };
}

/** The agent that a report in YAML is of; empty where that can't be seen. */
export function hostIn(body: Buffer): string {
  const at = body.indexOf(HOST);
  if (at < 0) return "";
  const from = at + HOST.length;
  const [line = ""] = body.toString("utf8", from, from + HOST_BYTES_MAX).split("\n");
  return line.trim().replaceAll(/^["']|["']$/g, "");
}
