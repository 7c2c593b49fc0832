// Input that is as large or as deep as it may come, for every reader. Run as a program it prints
// what each case came to, a line each, so that whoever gave it a small heap sees which was too
// much.

import { Fault } from "../../base/fault.ts";
import { CERTIFICATE_BYTES_MAX, certificatePem, parseCertificate } from "../certificate.ts";
import { crlPem, createCrl, encodeCrlEntry, parseCrl, parseCrls } from "../crl.ts";
import { DER_BYTES_MAX, derInteger, derNull, derOctets, derOid, derSequence } from "../der.ts";
import { derBitOctets, derSetOf, derUtf8, derValue, readDer, TAG } from "../der.ts";
import { subjectAltNames } from "../extension-values.ts";
import { type Extension, subjectAltName } from "../extensions.ts";
import { generateEcKey, keyIdOf, publicKeyOf, spkiOf } from "../keys.ts";
import { nameOf, nameText, parseName } from "../name.ts";
import { OID } from "../oids.ts";
import { decodePem, dersFrom, PEM_CHARACTERS_MAX } from "../pem.ts";
import { parseRequest, verifyRequest } from "../request.ts";
import { algorithmFor, assembleSigned, signTbs } from "../signed.ts";
import { authority, NOW_MS } from "./authority.ts";
import { nested } from "./mutate.ts";

/** What came of a case: a value, or the code of a Fault. */
export interface Told {
  what: string;
  outcome: string;
}

const key = generateEcKey();
const ca = authority(key);
const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

const made = (extensions: Extension[], subjectDer = nameOf({ commonName: "a" })) =>
  ca.make({ serial: 1n, subjectDer, spkiDer: spkiOf(key), days: 1, extensions });

function requestOf(parts: { subject?: Buffer; spki?: Buffer; attributes?: Buffer[] }): Buffer {
  const { subject = nameOf({ commonName: "a" }), spki = spkiOf(key), attributes = [] } = parts;
  const tbs = derSequence(derInteger(0), subject, spki, derValue(0xa0, ...attributes));
  return assembleSigned(tbs, algorithmFor(key), signTbs(tbs, key));
}

const attribute = (oid: string, values: Buffer[]) =>
  derSequence(derOid(oid), derValue(TAG.set, ...values));
const names = (count: number, of: number) =>
  derSequence(
    ...many(count, () =>
      derValue(TAG.set, ...many(of, () => derSequence(derOid(OID.commonName), derUtf8("x")))),
    ),
  );

/** An RSA key that costs as much as one can; both numbers are odd. */
function rsaSpki(modulusBits: number, exponentBits: number): Buffer {
  const odd = (bits: number) => derInteger((1n << BigInt(bits)) - 1n - (1n << BigInt(bits - 2)));
  const long = (bits: number) => (bits > 480 ? longInteger(bits) : odd(bits));
  return derSequence(
    derSequence(derOid("1.2.840.113549.1.1.1"), derNull()),
    derBitOctets(derSequence(long(modulusBits), long(exponentBits))),
  );
}

function longInteger(bits: number): Buffer {
  const bytes = Buffer.alloc(bits / 8 + 1, 0xff);
  bytes[0] = 0;
  return derValue(TAG.integer, bytes);
}

const crl = (entries: Buffer[]) =>
  createCrl({
    issuerDer: ca.issuerDer,
    authorityKeyId: ca.keyId,
    number: 1,
    thisUpdateMs: NOW_MS,
    nextUpdateMs: NOW_MS,
    entries,
    signingKey: key,
  }).der;
const entry = (index: number) =>
  encodeCrlEntry({ serial: BigInt(index), timeMs: NOW_MS, reason: 1 });

/** Title, and what is done with what. Each must end, in a heap of some hundred megabytes. */
const CASES: [what: string, outcome: string, act: () => unknown][] = [
  ["a text of line ends", "value", () => decodePem("\n".repeat(PEM_CHARACTERS_MAX))],
  ["a text of blanks", "value", () => decodePem(" ".repeat(PEM_CHARACTERS_MAX))],
  ["a text of dashes", "value", () => decodePem("-".repeat(PEM_CHARACTERS_MAX))],
  [
    "a text that is too long",
    "x509.malformed",
    () => decodePem(" ".repeat(PEM_CHARACTERS_MAX + 1)),
  ],
  [
    "a block of lines of one character",
    "value",
    () => decodePem(`-----BEGIN X-----\n${"A\n".repeat(2_000_000)}-----END X-----`),
  ],
  [
    "a block of empty lines",
    "x509.malformed",
    () => decodePem(`-----BEGIN X-----\n${"\n".repeat(8_000_000)}-----END X-----`),
  ],
  [
    "a hundred thousand blocks",
    "value",
    () => dersFrom(`-----BEGIN X-----\nMAA=\n-----END X-----\n`.repeat(100_000), ["X"]),
  ],
  ["beginnings without ends", "x509.malformed", () => decodePem("-----BEGIN X-----\n".repeat(1e6))],
  [
    "a certificate in a text of 1 MiB",
    "value",
    () => parseCertificate(`${"#".repeat(1024 * 1023)}\n${certificatePem(ca.der)}`),
  ],
  [
    "a certificate in a text of 2 MiB",
    "x509.malformed",
    () => parseCertificate(`${"#".repeat(2 * 1024 * 1024)}\n${certificatePem(ca.der)}`),
  ],
  [
    "a value of more than the most bytes",
    "x509.malformed",
    () => readDer(Buffer.alloc(DER_BYTES_MAX + 1), "value"),
  ],
  ["a certificate of zeros", "x509.malformed", () => parseCertificate(Buffer.alloc(250_000))],
  [
    "a certificate nested sixty thousand deep",
    "x509.malformed",
    () => parseCertificate(nested(ca.der, 60_000)),
  ],
  [
    "a name nested deep in a request",
    "x509.malformed",
    () => parseRequest(requestOf({ subject: nested(derNull(), 60_000) })),
  ],
  [
    "an extension nested deep",
    "x509.malformed",
    () =>
      subjectAltNames({
        oid: OID.subjectAltName,
        critical: false,
        value: nested(derNull(), 60_000, 0xa4),
      }),
  ],
  [
    "ten thousand alternative names",
    "value",
    () =>
      subjectAltNames(
        parseCertificate(
          made([
            subjectAltName(many(10_000, (index) => ({ type: "DNS", value: `a${index}.test` }))),
          ]),
        ),
      ),
  ],
  [
    "ten thousand extensions",
    "value",
    () =>
      parseCertificate(
        made(
          many(10_000, (index) => ({ oid: `1.2.3.${index}`, critical: false, value: derNull() })),
        ),
      ),
  ],
  [
    "extensions with the longest identifiers",
    "value",
    () =>
      parseCertificate(
        made(
          many(2000, (index) => ({
            oid: `2.999.${(1n << 400n) + BigInt(index)}`,
            critical: false,
            value: derNull(),
          })),
        ),
      ),
  ],
  [
    "five thousand parts of a name",
    "value",
    () => nameText(parseCertificate(made([], names(4500, 1))).subjectRdns),
  ],
  [
    "a part of five thousand attributes",
    "value",
    () => nameText(parseCertificate(made([], names(1, 4500))).subjectRdns),
  ],
  ["a name longer than one may be", "x509.malformed", () => parseName(names(15_000, 1))],
  [
    "a common name of 60,000 characters",
    "value",
    () => parseRequest(requestOf({ subject: nameOf({ commonName: "\u0000".repeat(60_000) }) })),
  ],
  [
    "a serial of 200,000 bytes",
    "x509.malformed",
    () =>
      parseCertificate(derSequence(derSequence(derValue(TAG.integer, Buffer.alloc(200_000, 1))))),
  ],
  [
    "ten thousand attributes",
    "value",
    () =>
      parseRequest(
        requestOf({
          attributes: many(10_000, (index) => attribute(`1.2.3.${index}`, [derNull()])),
        }),
      ),
  ],
  [
    "an attribute of fifty thousand values",
    "value",
    () => parseRequest(requestOf({ attributes: [attribute("1.2.3", many(50_000, derNull))] })),
  ],
  [
    "a request larger than one may be",
    "x509.malformed",
    () =>
      parseRequest(
        requestOf({ attributes: [attribute("1.2.3", [derOctets(Buffer.alloc(300_000))])] }),
      ),
  ],
  [
    "a signature that costs what an RSA key can",
    "value",
    () =>
      [rsaSpki(16_384, 64), rsaSpki(3072, 3072), rsaSpki(16_384, 16_384)].map((spki) =>
        verifyRequest(parseRequest(requestOf({ spki }))),
      ),
  ],
  ["a public key of more bytes than one has", "x509.key", () => publicKeyOf(Buffer.alloc(10_000))],
  ["a key identifier of such a key", "x509.malformed", () => keyIdOf(Buffer.alloc(10_000))],
  [
    "a list of fifty thousand entries",
    "value",
    () => parseCrls(crlPem(crl([Buffer.concat(many(50_000, entry))]))),
  ],
  [
    "a list of empty entries",
    "x509.malformed",
    () => parseCrl(crl([Buffer.concat(many(100_000, () => derSequence()))])),
  ],
  [
    "a list whose entry has fifty thousand extensions",
    "value",
    () =>
      parseCrl(
        crl([
          derSequence(
            entry(1).subarray(2, -14),
            derSequence(
              Buffer.concat(many(50_000, () => derSequence(derOid("1.2.3"), derOctets(derNull())))),
            ),
          ),
        ]),
      ),
  ],
  ["a set of fifty thousand values", "value", () => derSetOf(many(50_000, derInteger))],
  [
    "a certificate of just the most bytes",
    "value",
    () => {
      const room = CERTIFICATE_BYTES_MAX - made([]).length - 100;
      return parseCertificate(made([{ oid: "1.2.3", critical: false, value: Buffer.alloc(room) }]));
    },
  ],
];

/** What each case must come to. */
export const EXPECTED: Told[] = CASES.map(([what, outcome]) => ({ what, outcome }));

function outcomeOf(act: () => unknown): string {
  try {
    act();
    return "value";
  } catch (error) {
    return error instanceof Fault ? error.code : `not a Fault: ${String(error)}`;
  }
}

if (import.meta.main) {
  for (const [what, , act] of CASES) {
    const told: Told = { what, outcome: outcomeOf(act) };
    console.log(JSON.stringify(told));
  }
}
