// What the certificate authority keeps in the shared record: keys, values, their checks.
// Decided in docs/decisions/0002-ca-record.md; every server of every version reads these bytes.
// Danger: fields are only ever added (optional, with a meaning for "absent"), never changed.

import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { KEY_PREFIX } from "../cluster/keys.ts";
import { SERIAL_MAX, Serial } from "./serial.ts";

export const CA_PREFIX = `${KEY_PREFIX}ca/`;
export const AUTHORITY_KEY = `${CA_PREFIX}authority`;
export const CRL_HEAD_KEY = `${CA_PREFIX}crl-head`;
export const SERIAL_KEY = `${CA_PREFIX}serial`;
export const CERT_PREFIX = `${CA_PREFIX}cert/`;
export const NAME_PREFIX = `${CA_PREFIX}name/`;
export const REQUEST_PREFIX = `${CA_PREFIX}request/`;
export const REVOKED_PREFIX = `${CA_PREFIX}revoked/`;
export const CRL_PREFIX = `${CA_PREFIX}crl/`;
export const BLOCK_PREFIX = `${CA_PREFIX}block/`;

export const certKey = (serial: Serial) => `${CERT_PREFIX}${serial}`;
export const nameKey = (certname: string) => `${NAME_PREFIX}${certname}`;
export const requestKey = (certname: string) => `${REQUEST_PREFIX}${certname}`;
export const revokedKey = (serial: Serial) => `${REVOKED_PREFIX}${serial}`;
export const crlKey = (number: number) => `${CRL_PREFIX}${String(number).padStart(10, "0")}`;
export const blockKey = (from: Serial) => `${BLOCK_PREFIX}${from}`;

const Time = z.iso.datetime();
const Base64 = z.base64();
const Count = z.int().min(0);
const SerialNumber = z.int().min(1).max(SERIAL_MAX);

/**
 * `ca/authority`: what is public about the CA. The key never enters the record. The only value that
 * is written anew with a part changed: what a newer version keeps in it stays.
 */
export const AuthorityValue = z.looseObject({
  /** The bytes of ca_crt.pem: agents hash them, so they are the same on every server. */
  bundle: Base64,
  /** The issuing CA's subject, as RFC 2253 writes it. */
  subject: z.string(),
  /** CRLs of the CAs above ours, PEM, as they follow ours in ca_crl.pem. */
  parentCrls: z.string(),
  /** When they were last replaced; absent: never since the CA is in the record. */
  parentCrlsAt: Time.optional(),
  origin: z.enum(["created", "imported"]),
  createdAt: Time,
});
export type AuthorityValue = z.infer<typeof AuthorityValue>;

/**
 * `ca/cert/<serial>`: one certificate for good. Without `der`: known from an inventory line only.
 */
export const CertValue = z.object({
  certname: z.string(),
  der: Base64.nullable(),
  notBefore: Time,
  notAfter: Time,
  /** The member that signed it, or `import`. */
  signedBy: z.string(),
  at: Time,
});
export type CertValue = z.infer<typeof CertValue>;

/** `ca/name/<certname>`: the certificate that this name has now, the file in signed/. */
export const NameValue = z.object({ serial: Serial });

/** `ca/request/<certname>`: a request that waits for somebody to sign it. */
export const RequestValue = z.object({
  /** Random, so that two submissions are never the same bytes. */
  id: z.string(),
  pem: z.string(),
  at: Time,
  /** Where it came from: an address, or `cli`. */
  source: z.string().optional(),
  /** Autosign lets it be signed, and the server that it came to couldn't: whoever can signs it. */
  approved: z.boolean().optional(),
});
export type RequestValue = z.infer<typeof RequestValue>;

/** `ca/revoked/<serial>`: one entry of the CRL. */
export const RevokedValue = z.object({
  /** The first CRL that has it. */
  number: Count,
  /** The entry's revocation date. */
  at: Time,
  /** RFC 5280 §5.3.1; 0: the entry has no reason. Puppet always says 1, keyCompromise. */
  reason: z.int().min(0).max(10),
  certname: z.string().nullable(),
  /** When the certificate ends; unknown of an imported entry whose certificate is nowhere. */
  notAfter: Time.optional(),
});
export type RevokedValue = z.infer<typeof RevokedValue>;

/**
 * `ca/crl/<number>`: all that a CRL has besides its entries, so that every server builds the same
 * bytes.
 */
export const CrlValue = z.object({
  number: Count,
  thisUpdate: Time,
  nextUpdate: Time,
  count: Count,
  /** Of the whole CRL in DER, lower-case hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  signature: Base64,
  /** Entries of certificates that ended before this time are left out; absent: none are. */
  withoutEndedBefore: Time.optional(),
});
export type CrlValue = z.infer<typeof CrlValue>;

/** `ca/crl-head`: the number of the newest CRL; every revocation compares its revision. */
export const CrlHeadValue = z.object({ number: Count });

/** `ca/serial`: the lowest serial that no block has; only ever grows. */
export const SerialValue = z.object({
  next: z
    .int()
    .min(1)
    .max(SERIAL_MAX + 1),
});

/**
 * `ca/block/<from>`: serials that one member may use, `issue` by its daemon, `directory` by stock
 * tools.
 */
export const BlockValue = z.object({
  from: SerialNumber,
  to: SerialNumber,
  member: z.string(),
  use: z.enum(["issue", "directory"]),
  at: Time,
});
export type BlockValue = z.infer<typeof BlockValue>;

/** The bytes that the record keeps of `value`. */
export function encodeValue(value: object): string {
  return JSON.stringify(value);
}

/**
 * What `text`, found at `key`, says. Throws Fault `ca.record-unreadable`: one bad key must not hide
 * others, so catch it per key.
 */
export function decodeValue<T>(schema: z.ZodType<T>, key: string, text: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw unreadable(key, "no JSON");
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw unreadable(key, z.prettifyError(parsed.error).replaceAll("\n", "; "));
}

function unreadable(key: string, because: string): Fault {
  return new Fault("ca.record-unreadable", `the record's ${key} can't be understood: ${because}`, {
    hints: [
      "A newer version of Understudy may have written it: bring this server to that version.",
    ],
  });
}
