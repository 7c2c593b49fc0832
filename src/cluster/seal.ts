// Secrets for one reader: encrypted to the P-256 key of a member's control certificate, so that the
// CA key can't be read by whoever records the join, or holds a copy of what was sent. ECDH with a
// fresh key, HKDF-SHA-256, AES-256-GCM (RFC 5869, NIST SP 800-38D).

import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { generateEcKey } from "../x509/keys.ts";

const INFO = "understudy join keys v1";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export const Sealed = z.object({
  /** The sender's one-time public key, SPKI, base64. */
  key: z.string().max(1000),
  /** Nonce, ciphertext and tag, base64. */
  box: z.string().max(1024 * 1024),
});
export type Sealed = z.infer<typeof Sealed>;

export function seal(text: string, reader: KeyObject): Sealed {
  const once = generateEcKey();
  const spki = createPublicKey(once).export({ type: "spki", format: "der" });
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", secretOf(once, reader, spki), nonce);
  const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  const box = Buffer.concat([nonce, body, cipher.getAuthTag()]);
  return { key: spki.toString("base64"), box: box.toString("base64") };
}

/** Opens what was sealed for `key`. Throws Fault `pki.seal` when it wasn't, or was changed. */
export function unseal(sealed: Sealed, key: KeyObject): string {
  try {
    const spki = Buffer.from(sealed.key, "base64");
    const sender = createPublicKey({ key: spki, type: "spki", format: "der" });
    const box = Buffer.from(sealed.box, "base64");
    const nonce = box.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv("aes-256-gcm", secretOf(key, sender, spki), nonce);
    decipher.setAuthTag(box.subarray(-TAG_BYTES));
    const body = box.subarray(NONCE_BYTES, -TAG_BYTES);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString("utf8");
  } catch (error) {
    throw new Fault(
      "pki.seal",
      "the keys that were sent can't be decrypted with this member's key",
      {
        hints: ["Run the same join command again."],
        cause: error,
      },
    );
  }
}

function secretOf(own: KeyObject, other: KeyObject, salt: Buffer): Buffer {
  const shared = diffieHellman({ privateKey: own, publicKey: other });
  return Buffer.from(hkdfSync("sha256", shared, salt, INFO, 32));
}
