// The record's keys as tables in memory: each kind of key with what is kept of its value.
// Danger: an older change may arrive after a newer one (an own commit is applied before the watch
// tells of it), so every row remembers the revision that wrote it.

import type { z } from "zod";
import { EJECTED_KEY } from "../cluster/keys.ts";
import { Ejected } from "../cluster/schema.ts";
import { encodeCrlEntry } from "../x509/crl-entry.ts";
import { readIssuer, type Issuer } from "./issuer.ts";
import { ByteKeeper, createTextKeeper, type Place } from "./kept.ts";
import {
  AUTHORITY_KEY,
  AuthorityValue,
  BLOCK_PREFIX,
  BlockValue,
  CERT_PREFIX,
  CertValue,
  CRL_HEAD_KEY,
  CRL_PREFIX,
  CrlHeadValue,
  CrlValue,
  decodeValue,
  NAME_PREFIX,
  NameValue,
  REQUEST_PREFIX,
  RequestValue,
  REVOKED_PREFIX,
  RevokedValue,
  SERIAL_KEY,
  SerialValue,
} from "./record.ts";
import { Serial } from "./serial.ts";

/** A certificate, by serial. Times are milliseconds since the epoch. */
export interface CertRow {
  readonly serial: Serial;
  readonly certname: string;
  /**
   * Undefined: only an inventory line is known of it. May read the disk, for some microseconds, and
   * throws where that can't be read.
   */
  readonly der: Buffer | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly signedBy: string;
  readonly at: string;
}

export interface RequestRow {
  certname: string;
  pem: string;
  at: string;
  source: string | undefined;
  approved: boolean;
}

export interface RevokedRow {
  serial: Serial;
  number: number;
  at: string;
  reason: number;
  certname: string | null;
  notAfterMs: number | undefined;
  /** The entry as it is in a CRL. */
  entry: Buffer;
}

export type CrlRow = CrlValue;
export type BlockRow = z.infer<typeof BlockValue>;
export interface AuthorityRow extends AuthorityValue {
  issuer: Issuer;
}

/**
 * One kind of key. `name` is what follows the prefix; a table of one key has the whole key as
 * prefix.
 */
export class Table<Row> {
  readonly prefix: string;
  readonly #rows = new Map<string, { row: Row; modRevision: number }>();
  readonly #read: (name: string, text: string, key: string) => Row;

  constructor(prefix: string, read: (name: string, text: string, key: string) => Row) {
    this.prefix = prefix;
    this.#read = read;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(name: string): Row | undefined {
    return this.#rows.get(name)?.row;
  }

  has(name: string): boolean {
    return this.#rows.has(name);
  }

  *rows(): Iterable<Row> {
    for (const { row } of this.#rows.values()) yield row;
  }

  names(): Iterable<string> {
    return this.#rows.keys();
  }

  /** The revision that wrote the row; 0 when there is none. */
  revisionOf(name: string): number {
    return this.#rows.get(name)?.modRevision ?? 0;
  }

  /**
   * Throws Fault `ca.record-unreadable` and keeps what it had. Returns the row that was replaced.
   */
  put(name: string, text: string, modRevision: number): Row | undefined {
    const row = this.#read(name, text, this.prefix + name);
    const before = this.#rows.get(name)?.row;
    this.#rows.set(name, { row, modRevision });
    return before;
  }

  /** Has every row be as if this revision had written it. */
  age(modRevision: number): void {
    for (const kept of this.#rows.values()) kept.modRevision = modRevision;
  }

  remove(name: string): Row | undefined {
    const before = this.#rows.get(name)?.row;
    this.#rows.delete(name);
    return before;
  }
}

/** All tables, empty; `bytes` keeps the certificates' DER. */
export function createTables(bytes: ByteKeeper) {
  return {
    authority: new Table<AuthorityRow>(AUTHORITY_KEY, (_, text, key) => {
      const value = decodeValue(AuthorityValue, key, text);
      return { ...value, issuer: readIssuer(Buffer.from(value.bundle, "base64")) };
    }),
    serial: new Table(SERIAL_KEY, (_, text, key) => decodeValue(SerialValue, key, text)),
    crlHead: new Table(CRL_HEAD_KEY, (_, text, key) => decodeValue(CrlHeadValue, key, text)),
    certs: new Table<CertRow>(CERT_PREFIX, createCertReader(bytes)),
    names: new Table(NAME_PREFIX, (_, text, key) => decodeValue(NameValue, key, text)),
    requests: new Table<RequestRow>(REQUEST_PREFIX, (certname, text, key) => {
      const { pem, at, source, approved = false } = decodeValue(RequestValue, key, text);
      return { certname, pem, at, source, approved };
    }),
    revoked: new Table<RevokedRow>(REVOKED_PREFIX, readRevoked),
    crls: new Table<CrlRow>(CRL_PREFIX, (_, text, key) => decodeValue(CrlValue, key, text)),
    ejected: new Table(EJECTED_KEY, (_, text, key) => decodeValue(Ejected, key, text)),
    blocks: new Table<BlockRow>(BLOCK_PREFIX, (_, text, key) => decodeValue(BlockValue, key, text)),
  };
}

export type Tables = ReturnType<typeof createTables>;
export type TableName = keyof Tables;

/** A row whose DER is fetched only when it is asked for. */
class KeptCert implements CertRow {
  readonly serial: Serial;
  readonly certname: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly signedBy: string;
  readonly at: string;
  readonly #bytes: ByteKeeper;
  readonly #piece: number;
  readonly #from: number;
  readonly #to: number;

  constructor(
    serial: Serial,
    value: Omit<CertValue, "der">,
    bytes: ByteKeeper,
    place: Place = NOWHERE,
  ) {
    this.serial = serial;
    this.certname = value.certname;
    this.notBeforeMs = Date.parse(value.notBefore);
    this.notAfterMs = Date.parse(value.notAfter);
    this.signedBy = value.signedBy;
    this.at = value.at;
    this.#bytes = bytes;
    this.#piece = place.piece;
    this.#from = place.from;
    this.#to = place.to;
  }

  get der(): Buffer | undefined {
    const place = { piece: this.#piece, from: this.#from, to: this.#to };
    return this.#piece < 0 ? undefined : this.#bytes.read(place);
  }
}

const NOWHERE: Place = { piece: -1, from: 0, to: 0 };

function createCertReader(bytes: ByteKeeper) {
  const keepMember = createTextKeeper();
  const keepTime = createTextKeeper();
  return (name: string, text: string, key: string): CertRow => {
    const { der, ...value } = decodeValue(CertValue, key, text);
    value.signedBy = keepMember(value.signedBy);
    value.at = keepTime(value.at);
    const place = der === null ? undefined : bytes.keep(der, "base64");
    return new KeptCert(Serial.parse(name), value, bytes, place);
  };
}

function readRevoked(name: string, text: string, key: string): RevokedRow {
  const value = decodeValue(RevokedValue, key, text);
  return revokedRow(Serial.parse(name), value);
}

/** The row of a revocation. */
export function revokedRow(serial: Serial, value: RevokedValue): RevokedRow {
  const { number, at, reason, certname, notAfter } = value;
  return {
    serial,
    number,
    at,
    reason,
    certname,
    notAfterMs: notAfter === undefined ? undefined : Date.parse(notAfter),
    entry: encodeCrlEntry({ serial: BigInt(`0x${serial}`), timeMs: Date.parse(at), reason }),
  };
}
