// Whether this server's copy of the record may go on from what etcd holds now. Pure: facts in,
// verdict out. Danger: etcd may have been wiped, or restored from an older file, and the copy is
// then the only place that still has what was acknowledged: it must not be overwritten by that.

import { hash } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { Meta } from "../cluster/schema.ts";
import { BLOCK_PREFIX, CERT_PREFIX, REVOKED_PREFIX } from "./record.ts";

/** Longest wait where each attempt reads the whole record: a full disk, a record refused. */
const SLOW_PAUSE_MS_MAX = 60_000;
/** Longest wait for an etcd that doesn't answer. */
const ETCD_PAUSE_MS_MAX = 2000;
const PAUSE_MS_MIN = 500;

/** Kinds of keys that are never changed or deleted once they are there. */
const LASTING = [CERT_PREFIX, REVOKED_PREFIX, BLOCK_PREFIX];

/** The record as it is in etcd, or as the copy has it; `meta`: the text of its meta key. */
export interface RecordFacts {
  revision: number;
  meta: string | undefined;
}

/**
 * `same`: the copy is of this record, or empty. `newer`: the copy is of a generation that has
 * ended, or of a cluster that this member has left.
 */
export type Origin = { is: "same" | "newer" } | { is: "refused"; because: string };

/** Whose record it is, as the member's own cluster and generation and the copy's tell. */
export function judgeOrigin(
  member: { clusterId: string; generation: number },
  record: RecordFacts,
  copy: RecordFacts,
): Origin {
  const there = readMeta(record.meta);
  if (there === undefined) return { is: "refused", because: "etcd holds no record of a cluster" };
  const mine = there.clusterId === member.clusterId && there.generation === member.generation;
  if (!mine) {
    const whose = `cluster ${there.clusterId}, generation ${there.generation}`;
    return { is: "refused", because: `etcd's is of ${whose}` };
  }
  const copied = readMeta(copy.meta);
  if (copied !== undefined && copied.clusterId !== there.clusterId) return { is: "newer" };
  if (copied !== undefined && copied.generation < there.generation) return { is: "newer" };
  if (copied !== undefined && copied.generation > there.generation) {
    const because = `etcd's is of generation ${there.generation}, the copy of ${copied.generation}`;
    return { is: "refused", because };
  }
  if (record.revision >= copy.revision) return { is: "same" };
  const because = `etcd's ends at revision ${record.revision}, the copy at ${copy.revision}`;
  return { is: "refused", because };
}

/**
 * Collects what of the copy etcd's record has lost: give it every entry of etcd's (`there`), then
 * every one of the copy's (`copied`). It keeps a hash of each, since a record may be larger than
 * memory should be.
 */
export function createComparison() {
  const record = new Map<string, string>();
  let count = 0;
  let example = "";
  return {
    there({ key, value }: Entry): void {
      if (isLasting(key)) record.set(key, digest(value));
    },
    copied({ key, value }: Entry): void {
      if (!isLasting(key) || record.get(key) === digest(value)) return;
      count += 1;
      example = key;
    },
    /** Undefined when nothing was lost. */
    because: (): string | undefined =>
      count === 0 ? undefined : `etcd's lacks ${count} entries of the copy, as ${example}`,
  };
}

interface Entry {
  key: string;
  value: string;
}

/** 72 bits of SHA-256: nobody chooses these values against us, they are only told apart. */
function digest(value: string): string {
  return hash("sha256", value, "base64").slice(0, 12);
}

/** How long is waited after a failure, when the last wait was `lastMs` (0: there was none). */
export function pauseAfter(slow: boolean, lastMs: number): number {
  const most = slow ? SLOW_PAUSE_MS_MAX : ETCD_PAUSE_MS_MAX;
  return Math.min(most, Math.max(PAUSE_MS_MIN, lastMs * 2));
}

/** The Fault for a record that a change must not be built on, by the copy of `whose`. */
export function recordOlder(because: string, whose = "this server"): Fault {
  return new Fault(
    "ca.record-older",
    `the record isn't the one that ${whose}'s copy follows: ${because}`,
    {
      hints: [
        "This server signs and revokes nothing, or serials might be given twice; the copy stays.",
        "Was etcd's data wiped or restored? Save /var/lib/understudy/journal of every server first.",
        "Then bring the newest data of etcd back; what else can be done: /usr/share/doc/understudy/day-two.md",
      ],
    },
  );
}

function isLasting(key: string): boolean {
  return LASTING.some((prefix) => key.startsWith(prefix));
}

function readMeta(text: string | undefined): Meta | undefined {
  if (text === undefined) return undefined;
  try {
    return Meta.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
