// What one RSA 4096 signature of OpenSSL's costs here: the measure of all that a CA does.

import { sign } from "node:crypto";
import { generateRsaKey } from "../../src/x509/keys.ts";

const SIGNATURES = 300;
/** About as much as is signed of a certificate. */
const CONTENT = Buffer.alloc(1024);

/** Processor milliseconds of one signature, on one thread. */
export async function measureSignature(): Promise<number> {
  const key = await generateRsaKey(4096);
  // The first one also prepares the key.
  sign("sha256", CONTENT, key);
  const before = process.cpuUsage();
  for (let made = 0; made < SIGNATURES; made += 1) sign("sha256", CONTENT, key);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / SIGNATURES;
}
