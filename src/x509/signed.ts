// What certificates, requests and revocation lists have in common: SEQUENCE { tbs, algorithm,
// signature }. Signing picks the algorithm from the key; verifying takes an algorithm only
// together with its own type of key, and answers false to whatever it doesn't know.

import { KeyObject, sign, verify } from "node:crypto";
import { promisify } from "node:util";
import { Fault, messageOf } from "../base/fault.ts";
import { bitOctetsOf, derBitOctets, derNull, derOid, derSequence, type DerNode } from "./der.ts";
import { malformed, readDer, TAG } from "./der.ts";
import { describe, isSupported, publicKeyOf, readAlgorithm } from "./keys.ts";
import { OID } from "./oids.ts";

/** The signed parts of a certificate, request or revocation list. */
export interface Signed {
  der: Buffer;
  /** The part that is signed. */
  tbsDer: Buffer;
  /** OID of the signature's algorithm. */
  signatureAlgorithm: string;
  signature: Buffer;
}

interface Algorithm {
  hash: string;
  keyType: "rsa" | "ec";
}

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  [OID.sha1WithRsa, { hash: "sha1", keyType: "rsa" }],
  [OID.sha256WithRsa, { hash: "sha256", keyType: "rsa" }],
  [OID.sha384WithRsa, { hash: "sha384", keyType: "rsa" }],
  [OID.sha512WithRsa, { hash: "sha512", keyType: "rsa" }],
  [OID.ecdsaWithSha1, { hash: "sha1", keyType: "ec" }],
  [OID.ecdsaWithSha256, { hash: "sha256", keyType: "ec" }],
  [OID.ecdsaWithSha384, { hash: "sha384", keyType: "ec" }],
  [OID.ecdsaWithSha512, { hash: "sha512", keyType: "ec" }],
]);

const signAsync = promisify(sign);

/** Takes a signed object apart; `algorithmDer` is for comparison with the one inside the tbs. */
export function readSigned(
  der: Uint8Array,
  what: string,
  bytesMax: number,
): Signed & { tbs: DerNode; algorithmDer: Buffer } {
  const outer = readDer(der, what, bytesMax);
  if (outer.tag !== TAG.sequence) throw malformed(`${what} is not a sequence`);
  const reader = outer.inside(what);
  const tbs = reader.expect(TAG.sequence, `${what}: signed part`);
  const algorithm = reader.expect(TAG.sequence, `${what}: algorithm`);
  const signature = reader.expect(TAG.bitString, `${what}: signature`);
  reader.finish(what);
  return {
    der: outer.der,
    tbs,
    tbsDer: tbs.der,
    algorithmDer: algorithm.der,
    signatureAlgorithm: readAlgorithm(algorithm, what),
    signature: bitOctetsOf(signature, `${what}: signature`),
  };
}

/**
 * The OID of the algorithm that `key` signs with: SHA-256, or the hash that fits a larger curve.
 */
export function algorithmFor(key: KeyObject): string {
  if (!isSupported(key)) throw new Fault("x509.key", `cannot sign with a ${describe(key)} key`);
  if (key.asymmetricKeyType === "rsa") return OID.sha256WithRsa;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (curve === "secp384r1") return OID.ecdsaWithSha384;
  return curve === "secp521r1" ? OID.ecdsaWithSha512 : OID.ecdsaWithSha256;
}

/** The AlgorithmIdentifier: RSA has NULL parameters, ECDSA none (RFC 4055, RFC 5758). */
export function algorithmIdentifier(oid: string): Buffer {
  const known = ALGORITHMS.get(oid);
  if (known === undefined) throw new Fault("x509.unsupported", `signature algorithm ${oid}`);
  return known.keyType === "rsa" ? derSequence(derOid(oid), derNull()) : derSequence(derOid(oid));
}

/** The signature over `tbsDer`. Blocks the process: 4 ms with an RSA key of 4096 bits. */
export function signTbs(tbsDer: Buffer, key: KeyObject): Buffer {
  return sign(hashFor(key), tbsDer, key);
}

/** The same on a thread, for those that sign many. */
export function signTbsAsync(tbsDer: Buffer, key: KeyObject): Promise<Buffer> {
  return signAsync(hashFor(key), tbsDer, key);
}

/** Puts a signed object together. */
export function assembleSigned(tbsDer: Buffer, algorithmOid: string, signature: Buffer): Buffer {
  return derSequence(tbsDer, algorithmIdentifier(algorithmOid), derBitOctets(signature));
}

/**
 * Whether the holder of `signer` (a key, or its SubjectPublicKeyInfo) made this signature.
 * False for unknown algorithms, keys of another type or size, and unreadable keys.
 */
export function verifySigned(signed: Signed, signer: KeyObject | Uint8Array): boolean {
  const algorithm = ALGORITHMS.get(signed.signatureAlgorithm);
  if (algorithm === undefined) return false;
  try {
    const key = signer instanceof KeyObject ? signer : publicKeyOf(signer);
    if (key.asymmetricKeyType !== algorithm.keyType || !isSupported(key)) return false;
    return verify(algorithm.hash, signed.tbsDer, key, signed.signature);
  } catch {
    // OpenSSL throws on some broken keys and signatures where it says "no" to others.
    return false;
  }
}

/**
 * Why no signature by this key can be verified here, whoever made it; undefined when it can. For
 * messages: verifySigned says no to all of them.
 */
export function describeUnknown(signed: Signed, spkiDer: Uint8Array): string | undefined {
  try {
    const key = publicKeyOf(spkiDer);
    if (!isSupported(key)) return `a key of type ${describe(key)} is not supported`;
  } catch (error) {
    return messageOf(error);
  }
  const known = ALGORITHMS.has(signed.signatureAlgorithm);
  return known ? undefined : `signature algorithm ${signed.signatureAlgorithm} is not supported`;
}

function hashFor(key: KeyObject): string {
  return ALGORITHMS.get(algorithmFor(key))?.hash ?? "sha256";
}
