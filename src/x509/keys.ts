// Private and public keys: made, read, written, compared. RSA and the NIST curves only, because
// that is what Puppet agents, Java and OpenSSL all take. Garbage is a Fault `x509.key`.

import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { generateKeyPair, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { Fault, messageOf } from "../base/fault.ts";
import { checkAny } from "./any.ts";
import { bitOctetsOf, type DerNode, malformed, oidOf, readDer, TAG } from "./der.ts";
import { decodePem } from "./pem.ts";

/** Smaller RSA keys verify nothing: they can be factored. Stock Puppet signs 1024, so do we. */
export const RSA_BITS_MIN = 1024;
/** Larger RSA keys cost the verifier too much; OpenSSL has the same bound. */
export const RSA_BITS_MAX = 16384;
const KEY_FILE_BYTES_MAX = 64 * 1024;
const SPKI_BYTES_MAX = 8 * 1024;
const CURVES: readonly (string | undefined)[] = ["prime256v1", "secp384r1", "secp521r1"];

const PRIVATE_FORMS: ReadonlyMap<string, "pkcs1" | "pkcs8" | "sec1"> = new Map([
  ["RSA PRIVATE KEY", "pkcs1"],
  ["PRIVATE KEY", "pkcs8"],
  ["EC PRIVATE KEY", "sec1"],
]);

const generate = promisify(generateKeyPair);

/** A new RSA private key; takes seconds for 4096 bits, on a thread of its own. */
export async function generateRsaKey(bits = 4096): Promise<KeyObject> {
  const { privateKey } = await generate("rsa", { modulusLength: bits, publicExponent: 65537 });
  return privateKey;
}

/** A new private key on P-256; takes well under a millisecond. */
export function generateEcKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
}

/** The SubjectPublicKeyInfo of a key, public or private. */
export function spkiOf(key: KeyObject): Buffer {
  const publicKey = key.type === "public" ? key : createPublicKey(key);
  return publicKey.export({ type: "spki", format: "der" });
}

/** `BEGIN RSA PRIVATE KEY`, the form of Puppet's ca_key.pem. */
export function exportPkcs1(key: KeyObject): string {
  if (key.asymmetricKeyType !== "rsa") throw unusable("only RSA keys have a PKCS#1 form");
  return key.export({ type: "pkcs1", format: "pem" }).toString();
}

/** `BEGIN PRIVATE KEY`, the form that Jetty needs. */
export function exportPkcs8(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** `BEGIN PUBLIC KEY`, of a public or a private key. */
export function exportSpki(key: KeyObject): string {
  const publicKey = key.type === "public" ? key : createPublicKey(key);
  return publicKey.export({ type: "spki", format: "pem" }).toString();
}

/** Reads an unencrypted private key: PEM of PKCS#1, PKCS#8 or EC. Faults with `x509.key`. */
export function readPrivateKey(pem: string | Uint8Array): KeyObject {
  if (pem.length > KEY_FILE_BYTES_MAX) throw unusable(`${pem.length} bytes are too many for a key`);
  const text = typeof pem === "string" ? pem : Buffer.from(pem).toString("latin1");
  if (/^-----BEGIN ENCRYPTED |^Proc-Type:.*ENCRYPTED/m.test(text)) {
    throw new Fault("x509.key", "the private key is encrypted", {
      hints: ["Remove its passphrase: openssl pkey -in KEY -out KEY.plain"],
    });
  }
  const key = decodePrivateKey(text);
  if (!isSupported(key)) throw unusable(`a key of type ${describe(key)} is not supported`);
  return key;
}

/** The key of a SubjectPublicKeyInfo. Faults with `x509.key` on what OpenSSL can't read. */
export function publicKeyOf(spkiDer: Uint8Array): KeyObject {
  if (spkiDer.length > SPKI_BYTES_MAX) throw unusable(`a public key of ${spkiDer.length} bytes`);
  try {
    const key = createPublicKey({ key: Buffer.from(spkiDer), format: "der", type: "spki" });
    // OpenSSL reads EC keys that it can't write ("invalid form"); who compares keys writes them.
    if (key.asymmetricKeyType !== "rsa") spkiOf(key);
    return key;
  } catch (error) {
    throw unusable(`not a public key: ${messageOf(error)}`, error);
  }
}

/** Whether we make and verify signatures with such a key: RSA of sane size, P-256, P-384, P-521. */
export function isSupported(key: KeyObject): boolean {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === "ec") return CURVES.includes(details?.namedCurve);
  const bits = details?.modulusLength ?? 0;
  return key.asymmetricKeyType === "rsa" && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

/** Whether a private key belongs to this SubjectPublicKeyInfo. */
export function matches(privateKey: KeyObject, spkiDer: Uint8Array): boolean {
  // Not KeyObject.equals: between keys of two types it leaves an error behind in OpenSSL's queue,
  // and the next key that Node reads is refused with it (seen with Node 24.21).
  return spkiOf(privateKey).equals(spkiOf(publicKeyOf(spkiDer)));
}

/** The key identifier of RFC 5280 §4.2.1.2 (1): SHA-1 of the public key's bits, 20 bytes. */
export function keyIdOf(spkiDer: Uint8Array): Buffer {
  const node = readDer(spkiDer, "public key", SPKI_BYTES_MAX);
  if (node.tag !== TAG.sequence) throw malformed("public key is not a sequence");
  return createHash("sha1").update(readSpki(node, "public key").bits).digest();
}

/**
 * Takes a SubjectPublicKeyInfo apart. Faults with `x509.malformed`; whether the bits are a key is
 * for publicKeyOf to say.
 */
export function readSpki(node: DerNode, what: string): { algorithm: string; bits: Buffer } {
  const reader = node.inside(what);
  const algorithm = readAlgorithm(reader.expect(TAG.sequence, `${what}: algorithm`), what);
  const bits = bitOctetsOf(reader.expect(TAG.bitString, `${what}: bits`), `${what}: bits`);
  reader.finish(what);
  return { algorithm, bits };
}

/** The OID of an AlgorithmIdentifier, which has at most one value behind it: its parameters. */
export function readAlgorithm(node: DerNode, what: string): string {
  const inside = node.inside(`${what}: algorithm`);
  const oid = oidOf(inside.expect(TAG.oid, `${what}: algorithm`), `${what}: algorithm`);
  if (!inside.done) checkAny(inside.next(`${what}: parameters`), `${what}: parameters`);
  inside.finish(`${what}: algorithm`);
  return oid;
}

/** For messages: "rsa 2048", "ec secp256k1". */
export function describe(key: KeyObject): string {
  const details = key.asymmetricKeyDetails;
  return [key.asymmetricKeyType ?? key.type, details?.namedCurve ?? details?.modulusLength]
    .filter((part) => part !== undefined)
    .join(" ");
}

/** The one private key in a text; parameters and certificates beside it are passed over. */
function decodePrivateKey(text: string): KeyObject {
  try {
    const found = decodePem(text).filter(({ label }) => PRIVATE_FORMS.has(label));
    const [block] = found;
    if (block === undefined || found.length > 1) throw unusable(`${found.length} private keys`);
    const { label, der: key } = block;
    return createPrivateKey({ key, format: "der", type: PRIVATE_FORMS.get(label) ?? "pkcs8" });
  } catch (error) {
    throw unusable(`not a private key in PEM: ${messageOf(error)}`, error);
  }
}

function unusable(message: string, cause?: unknown): Fault {
  return new Fault("x509.key", message, { cause });
}
