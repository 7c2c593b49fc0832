// The CA's private key, read from the CA directory and held in memory. It is never in the record,
// and a server without it still answers every read.

import type { KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Fault, messageOf } from "../base/fault.ts";
import { matches, readPrivateKey } from "../x509/keys.ts";
import type { Issuer } from "./issuer.ts";

export interface KeyHolder {
  /** Reads the key if it isn't held yet. */
  load(issuer: Issuer): Promise<void>;
  /** Throws Fault `ca.no-key`. */
  get(): KeyObject;
  peek(): KeyObject | undefined;
  /** Why there is no key; empty when there is one. */
  problem(): string;
}

export function createKeyHolder(path: string): KeyHolder {
  let key: KeyObject | undefined;
  let problem = "it was not read yet";
  return {
    async load(issuer) {
      if (key !== undefined) return;
      try {
        const read = readPrivateKey(await readFile(path));
        if (!matches(read, issuer.certificate.spkiDer)) throw new Error("it is another CA's key");
        key = read;
        problem = "";
      } catch (error) {
        problem = messageOf(error);
      }
    },
    get() {
      if (key !== undefined) return key;
      throw new Fault("ca.no-key", `this server can't sign, ${path}: ${problem}`, {
        hints: ["The other servers sign. Restore the key from one of them, or join this one anew."],
      });
    },
    peek: () => key,
    problem: () => (problem === "" ? "" : `${path}: ${problem}`),
  };
}
