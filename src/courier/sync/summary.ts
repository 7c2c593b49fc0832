// What a PuppetDB has, in short: of each node when its newest data was made, and whether it counts
// as gone. By these two PuppetDBs are compared.

/** When it was made, milliseconds since the epoch, and PuppetDB's own hash of it. */
export interface Stamp {
  ms: number;
  hash: string;
}

/** Of what a node has one each. */
export const NODE_KINDS = ["catalog", "facts", "inputs"] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

/** One node in one PuppetDB. */
export interface NodeSummary {
  catalog?: Stamp;
  facts?: Stamp;
  inputs?: Stamp;
  deactivatedMs?: number;
  /** When PuppetDB's own clearing found it silent for too long. */
  expiredMs?: number;
  /** When a configure expiration prolonged its life, without any data. */
  revivedMs?: number;
}

/** By certname. */
export type Summary = ReadonlyMap<string, NodeSummary>;

/** A report, without what it says. */
export interface ReportStamp extends Stamp {
  certname: string;
}

/** Producer timestamps from `fromMs` on, and before `toMs`. */
export interface Window {
  fromMs: number;
  toMs: number;
}

/** When its newest catalog or facts were made; -Infinity where it has none. */
export function newestMs({ catalog, facts }: NodeSummary): number {
  return Math.max(catalog?.ms ?? -Infinity, facts?.ms ?? -Infinity);
}

/** Whether queries show it. */
export function isActive({ deactivatedMs, expiredMs }: NodeSummary): boolean {
  return deactivatedMs === undefined && expiredMs === undefined;
}
