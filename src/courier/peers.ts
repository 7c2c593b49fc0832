// The other couriers, as this one sees them: who answers, what waits there for which PuppetDB, and
// who takes a copy of a command. Every call has a deadline; a courier that was silent is left out
// until it answers again, so that a dead server costs no command its time.

import { Agent, request } from "node:https";
import { z } from "zod";
import { answerOf } from "../base/answer.ts";
import type { Log } from "../base/log.ts";
import { SyncStatus } from "../cluster/sync-status.ts";
import { deadline, pause } from "../base/retry.ts";
import type { CourierConfig } from "./config.ts";
import { Deletion } from "./deletions.ts";
import { renderHead, type SpooledHead } from "./frame.ts";
import { Counts, Memory } from "./guard.ts";
import type { Range } from "./ranges.ts";
import { readBody } from "../base/read-body.ts";

const LOOK_EVERY_MS = 2000;
const LOOK_MS = 1500;
const COPY_MS = 2000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** A courier that was silent for so long is gone: what is held for it is delivered. */
export const GONE_MS = 15_000;
/** Header with what is known of a command, as base64 of JSON. */
export const HEAD_HEADER = "x-understudy-command";

/** What a spool is of: PuppetDB's commands, or reports for other receivers. */
export type StreamName = "commands" | "uploads";

export const PeerState = z.looseObject({
  id: z.string(),
  /** The names of the spools that it has now. */
  origins: z.object({ commands: z.string().optional(), uploads: z.string().optional() }),
  /** By PuppetDB. */
  backlog: z.record(
    z.string(),
    z.object({ caughtUp: z.boolean(), commands: z.number(), oldestMs: z.number() }),
  ),
  /** The PuppetDB that its queries go to. */
  queries: z.object({ id: z.string(), atMs: z.number() }).optional(),
  /** What its own PuppetDB has; null: not counted yet, or it has none. */
  counts: Counts.nullish().catch(undefined),
  /** What it remembers, by PuppetDB. */
  memories: z.record(z.string(), Memory).optional().catch(undefined),
  /** Another text whenever it knows of another deleted node. */
  deletions: z.string().optional().catch(undefined),
  /** Of its own server's PuppetDB. */
  sync: SyncStatus.pick({ standing: true, because: true }).optional(),
});
export type PeerState = z.infer<typeof PeerState>;

/** Whether a courier keeps an upload already, or is about to. */
export const UploadKnown = z.enum(["taken", "taking", "unknown"]);
export type UploadKnown = z.infer<typeof UploadKnown>;
const Known = z.object({ knows: UploadKnown });

/** Nodes that were deleted, between couriers. */
export const Deleted = z.object({ deleted: z.array(Deletion) });
const Held = z.object({ held: z.array(z.tuple([z.int(), z.int()])) });

export interface PeerTls {
  ca: string;
  cert: string;
  key: string;
}

export interface Peer {
  id: string;
  /** Whether it answered when it was last asked. */
  reachable(): boolean;
  /** How long it has been silent, milliseconds; since the start where it never answered. */
  silentMs(): number;
  /** What it said last. */
  state(): PeerState | undefined;
}

export interface CourierPeers {
  list: Peer[];
  /** What the others keep of this courier's spool `origin`. */
  copiesOf(stream: StreamName, origin: string): PeerCopies;
  /** What each that answers knows of the upload with that hash. */
  askUpload(sha256: string): Promise<{ id: string; knows: UploadKnown }[]>;
  /** Tells all that answer that these nodes are deleted; resolves when they have it, or don't. */
  tell(deleted: readonly Deletion[]): Promise<void>;
  /** The deleted nodes that the courier of `id` knows. Throws why it can't be asked. */
  deletionsOf(id: string): Promise<Deletion[]>;
  close(): void;
}

export interface PeerCopies {
  /**
   * Has a copy of the command kept elsewhere. Resolves with the courier that has it; undefined when
   * nobody has.
   */
  copy(seq: number, head: SpooledHead, body: Buffer): Promise<string | undefined>;
  /** Which of this courier's commands those that answer hold, by its numbers. */
  held(): Promise<Range[][]>;
  /** Tells all that every target has what this courier took up to `upTo`. */
  release(upTo: number): Promise<void>;
}

/** Knows `config`'s other couriers; `onChange` is called when one comes or goes. */
export function createCourierPeers(
  config: CourierConfig,
  tls: PeerTls,
  deps: { log: Log; signal: AbortSignal; onChange: () => void },
): CourierPeers {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const startedMs = performance.now();
  const peers = config.couriers.map((courier) => {
    const seen = { reachable: false, atMs: startedMs, state: undefined as PeerState | undefined };
    const ask = async (
      method: string,
      path: string,
      { body, headers = {}, withinMs }: Ask,
    ): Promise<unknown> => {
      const { address: host, port, hostname } = courier;
      const signal = deadline(withinMs, deps.signal);
      const options = {
        host,
        port,
        servername: hostname,
        ...tls,
        agent,
        method,
        path,
        headers: { ...headers, ...(body && { "content-length": String(body.length) }) },
        signal,
      };
      return send(options, body);
    };
    const note = (reachable: boolean) => {
      if (reachable) seen.atMs = performance.now();
      if (reachable === seen.reachable) return;
      seen.reachable = reachable;
      deps.log.info(`the courier of ${courier.id} ${reachable ? "answers" : "doesn't answer"}`);
      deps.onChange();
    };
    const look = async () => {
      try {
        seen.state = PeerState.parse(await ask("GET", "/state", { withinMs: LOOK_MS }));
        note(true);
      } catch {
        note(false);
      }
    };
    const peer: Peer = {
      id: courier.id,
      reachable: () => seen.reachable,
      silentMs: () => performance.now() - seen.atMs,
      state: () => seen.state,
    };
    return { peer, ask, look, note };
  });
  for (const { look } of peers) {
    void (async () => {
      while (!deps.signal.aborted) {
        await look();
        await pause(LOOK_EVERY_MS, deps.signal);
      }
    })();
  }
  const reachable = () => peers.filter(({ peer }) => peer.reachable());
  const copiesOf = (path: string): PeerCopies => ({
    async copy(seq, head, body) {
      const headers = { [HEAD_HEADER]: Buffer.from(renderHead(head)).toString("base64") };
      for (const { peer, ask, note } of reachable()) {
        try {
          await ask("PUT", `${path}/${seq}`, { body, headers, withinMs: COPY_MS });
          return peer.id;
        } catch (error) {
          if (!(error instanceof Refused)) note(false);
        }
      }
      return undefined;
    },
    async held() {
      const lists = reachable().map(async ({ ask }) => {
        return Held.parse(await ask("GET", path, { withinMs: COPY_MS })).held;
      });
      const settled = await Promise.allSettled(lists);
      return settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    },
    async release(upTo) {
      await Promise.allSettled(
        reachable().map(async ({ ask }) =>
          ask("DELETE", `${path}?upTo=${upTo}`, { withinMs: COPY_MS }),
        ),
      );
    },
  });
  return {
    list: peers.map(({ peer }) => peer),
    copiesOf: (stream, origin) => copiesOf(`/${stream}/${encodeURIComponent(origin)}`),
    async askUpload(sha256) {
      const asked = reachable().map(async ({ peer, ask }) => {
        const answer = await ask("GET", `/known/${sha256}`, { withinMs: COPY_MS });
        return { id: peer.id, knows: Known.parse(answer).knows };
      });
      const settled = await Promise.allSettled(asked);
      return settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    },
    async tell(deleted) {
      const body = Buffer.from(JSON.stringify({ deleted }));
      const told = reachable().map(async ({ ask }) =>
        ask("PUT", "/deletions", { body, withinMs: COPY_MS }),
      );
      await Promise.allSettled(told);
    },
    async deletionsOf(id) {
      const found = peers.find(({ peer }) => peer.id === id);
      return Deleted.parse(await found?.ask("GET", "/deletions", { withinMs: COPY_MS })).deleted;
    },
    close: () => agent.destroy(),
  };
}

interface Ask {
  body?: Buffer;
  headers?: Record<string, string>;
  withinMs: number;
}

/** It answered, but not with success. */
class Refused extends Error {}

async function send(
  options: Parameters<typeof request>[1] & object,
  body?: Buffer,
): Promise<unknown> {
  const incoming = await answerOf(() => request(options), body);
  const text = (await readBody(incoming, ANSWER_BYTES_MAX)).toString("utf8");
  const { statusCode = 0 } = incoming;
  if (statusCode < 200 || statusCode >= 300) throw new Refused(`${statusCode}: ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
