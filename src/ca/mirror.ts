// The CA's record in memory: what reads are answered from, also when etcd is out of reach.
// Fed by own commits, the watch, and full reads; it takes them in any order and ends the same.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { monotonicMs } from "../host/clock.ts";
import { ByteKeeper, type Place } from "./kept.ts";
import { CA_PREFIX } from "./record.ts";
import { compareSerials, type Serial } from "./serial.ts";
import {
  type CertRow,
  createTables,
  type RevokedRow,
  type Table,
  type TableName,
  type Tables,
} from "./tables.ts";

/** Below any revision of etcd's. */
const DISTRUSTED_REVISION = 0.5;

/** A key of the record as it is now; `value` null: it is gone. */
export interface Change {
  key: string;
  value: string | null;
  modRevision: number;
}

/** Longer than any answer from before a deletion takes to come. */
const DELETED_KEPT_MS = 120_000;

/** What a batch of changes touched, for those who publish it. */
export interface Touched {
  authority: boolean;
  crl: boolean;
  /** Serials of certificates that are new here. */
  certs: Set<Serial>;
  /** Certnames whose current certificate changed. */
  names: Set<string>;
  /** Certnames whose request came or went. */
  requests: Set<string>;
}

/**
 * The record in memory. Its tables are for reading; changes come in through `apply` and `replace`.
 */
export class Mirror {
  readonly tables: Tables;
  /** Keys that can't be understood, and why; what they held before is kept. */
  readonly unreadable = new Map<string, string>();
  /**
   * What waited before memory was read anew, PEM by name, until the directory is in step: a file
   * with it in requests/ is nobody's work where the record has given the request up meanwhile.
   */
  readonly formerRequests = new Map<string, string>();
  /** A list only where a name has had several: that is an object less for nearly every name. */
  readonly #byName = new Map<string, Serial | Serial[]>();
  /**
   * Keys that were deleted of late, the oldest first, with the revision and the monotonic time: an
   * answer from before may still be on its way.
   */
  readonly #deleted = new Map<string, { revision: number; atMs: number }>();
  readonly #texts = new WeakMap<CertRow, Place>();
  readonly #log: Log | undefined;
  readonly #bytes: ByteKeeper;
  #revision = 0;
  #sorted: RevokedRow[] | undefined;

  /** `scratch`: the folder for what needn't be in memory; without one, all is. */
  constructor(log?: Log, scratch?: string) {
    this.#log = log;
    this.#bytes = new ByteKeeper(scratch, log);
    this.tables = createTables(this.#bytes);
  }

  /**
   * What is here may be of another record than the one that is read next: it goes on being served,
   * and whatever is read replaces it.
   */
  distrust(): void {
    for (const table of Object.values(this.tables)) table.age(DISTRUSTED_REVISION);
    this.#deleted.clear();
    this.#revision = 0;
  }

  /** Gives up the scratch file; certificates can't be asked for any more. */
  close(): void {
    this.#bytes.close();
  }

  /** The newest revision known to be taken in completely, from the watch or a full read. */
  get revision(): number {
    return this.#revision;
  }

  /** Takes changes in, in any order. `complete`: everything up to this revision is known now. */
  apply(changes: Iterable<Change>, complete = 0): Touched {
    const to = untouched();
    for (const change of changes) this.#applyOne(change, to);
    this.#settle(complete);
    return to;
  }

  /**
   * Takes an own commit in. What it touched is told even when the watch was quicker: who commits
   * must know that it is on disk before he says so.
   */
  applyOwn(changes: readonly Change[]): Touched {
    const to = this.apply(changes);
    for (const { key } of changes) {
      const place = locate(this.tables, key);
      if (place !== undefined) this.#touch(place.kind, place.name, to);
    }
    return to;
  }

  /** Takes in all keys as of `revision`: those that aren't among them are gone. */
  replace(changes: Iterable<Change>, revision: number): Touched {
    const replacing = this.replacing();
    replacing.take(changes);
    return replacing.end(revision);
  }

  /**
   * The same in several parts. Until its `end` nothing is gone; left without one, it was a number
   * of single changes.
   */
  replacing(): { take(changes: Iterable<Change>): void; end(revision: number): Touched } {
    const to = untouched();
    const unseen = new Set(this.keys());
    return {
      take: (changes) => {
        for (const change of changes) {
          unseen.delete(change.key);
          this.#applyOne(change, to);
        }
      },
      end: (revision) => {
        for (const key of unseen) {
          const place = locate(this.tables, key);
          const newer = (this.revisionOf(key) ?? 0) > revision;
          if (place !== undefined && !newer) this.#remove(place.kind, place.name, to);
        }
        this.#settle(revision);
        return to;
      },
    };
  }

  /** The revision that wrote `key`; 0 when it isn't there, undefined for keys that aren't kept. */
  revisionOf(key: string): number | undefined {
    const place = locate(this.tables, key);
    return place && this.tables[place.kind].revisionOf(place.name);
  }

  /** Every key that is there. */
  *keys(): Generator<string> {
    for (const table of Object.values(this.tables)) {
      for (const name of table.names()) yield table.prefix + name;
    }
  }

  /** Every certificate of `certname` ever issued, lowest serial first. */
  serialsOf(certname: string): readonly Serial[] {
    const serials = this.#byName.get(certname) ?? [];
    return typeof serials === "string" ? [serials] : serials;
  }

  /** Gives a text about each of many certificates that takes its time to make: once, and kept. */
  textReader(make: (row: CertRow) => string): (row: CertRow) => Buffer {
    const read = this.#bytes.reader();
    return (row) => read(this.keepText(row, make));
  }

  /** Makes that text if it isn't kept yet. */
  keepText(row: CertRow, make: (row: CertRow) => string): Place {
    const known = this.#texts.get(row);
    if (known !== undefined) return known;
    const place = this.#bytes.keep(make(row), "utf8");
    this.#texts.set(row, place);
    return place;
  }

  /** Revocations in the order of a CRL's entries. */
  revocations(): readonly RevokedRow[] {
    this.#sorted ??= [...this.tables.revoked.rows()].sort(
      (a, b) => a.number - b.number || compareSerials(a.serial, b.serial),
    );
    return this.#sorted;
  }

  #applyOne(change: Change, to: Touched): void {
    const place = locate(this.tables, change.key);
    if (place === undefined) return;
    const { kind, name } = place;
    const seen = this.tables[kind].revisionOf(name);
    if (Math.max(seen, this.#deleted.get(change.key)?.revision ?? 0) >= change.modRevision) return;
    if (change.value === null) {
      this.#remove(kind, name, to);
      this.#deleted.delete(change.key);
      this.#deleted.set(change.key, { revision: change.modRevision, atMs: monotonicMs() });
    } else this.#put(kind, name, { ...change, value: change.value }, to);
  }

  #put(kind: TableName, name: string, change: Change & { value: string }, to: Touched): void {
    const table: Table<unknown> = this.tables[kind];
    try {
      table.put(this.#ownText(kind, name), change.value, change.modRevision);
    } catch (error) {
      const because = messageOf(error);
      if (this.unreadable.get(change.key) !== because) {
        this.#log?.error(because, { key: change.key });
      }
      this.unreadable.set(change.key, because);
      return;
    }
    this.unreadable.delete(change.key);
    if (kind === "certs") this.#index(name);
    this.#touch(kind, name, to);
  }

  #remove(kind: TableName, name: string, to: Touched): void {
    this.unreadable.delete(this.tables[kind].prefix + name);
    if (this.tables[kind].remove(name) !== undefined) this.#touch(kind, name, to);
  }

  /**
   * The name as a string that keeps no other alive: a part of a key would keep the whole key, and
   * most names are their certificate's already.
   */
  #ownText(kind: TableName, name: string): string {
    if (kind !== "names") return name;
    const [serial = ""] = this.serialsOf(name);
    return this.tables.certs.get(serial)?.certname ?? Buffer.from(name).toString();
  }

  #index(serial: Serial): void {
    const row = this.tables.certs.get(serial);
    if (row === undefined) return;
    const { certname } = row;
    const serials = this.serialsOf(certname);
    if (serials.includes(serial)) return;
    const sorted = [...serials, row.serial].sort(compareSerials);
    this.#byName.set(certname, serials.length === 0 ? row.serial : sorted);
  }

  #touch(kind: TableName, name: string, to: Touched): void {
    if (kind === "authority") to.authority = true;
    if (kind === "crlHead" || kind === "crls") to.crl = true;
    if (kind === "revoked") this.#sorted = undefined;
    if (kind === "certs") to.certs.add(name);
    if (kind === "names") to.names.add(name);
    if (kind === "requests") to.requests.add(name);
  }

  #settle(complete: number): void {
    this.#revision = Math.max(this.#revision, complete);
    const oldest = monotonicMs() - DELETED_KEPT_MS;
    for (const [key, { revision, atMs }] of this.#deleted) {
      if (atMs > oldest) return;
      if (revision <= this.#revision) this.#deleted.delete(key);
    }
  }
}

function untouched(): Touched {
  return {
    authority: false,
    crl: false,
    certs: new Set(),
    names: new Set(),
    requests: new Set(),
  };
}

/** Which table a key belongs to; undefined for keys of versions to come and of others. */
function locate(tables: Tables, key: string): { kind: TableName; name: string } | undefined {
  if (!key.startsWith(CA_PREFIX)) return undefined;
  for (const kind of Object.keys(tables) as TableName[]) {
    const { prefix } = tables[kind];
    const single = !prefix.endsWith("/");
    if (single ? key === prefix : key.startsWith(prefix)) {
      return { kind, name: key.slice(prefix.length) };
    }
  }
  return undefined;
}
