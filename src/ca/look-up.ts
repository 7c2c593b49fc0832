// Brings what the record has of some names into memory, as it is now.

import { isCertname } from "./certname.ts";
import type { Core } from "./core.ts";
import { certKey, nameKey, requestKey } from "./record.ts";
import type { ReadOptions } from "./store.ts";

/** Names looked up in one transaction; each is one or two of its operations. */
const NAMES_AT_ONCE = 60;
/** Serials of one; a foreign etcd allows 128 operations. */
const SERIALS_AT_ONCE = 100;

/**
 * Reads the names' current certificates and requests; names that can't be ones are left out. Throws
 * Fault `etcd.…`.
 */
export async function lookUp(
  { store }: Core,
  names: readonly string[],
  options: ReadOptions = {},
): Promise<void> {
  const { tables } = store.mirror;
  for (let at = 0; at < names.length; at += NAMES_AT_ONCE) {
    const some = names.slice(at, at + NAMES_AT_ONCE).filter(isCertname);
    const keys = some.flatMap((name) => [nameKey(name), requestKey(name)]);
    await store.refresh(keys, options);
    const lacking = some.flatMap((name) => {
      const serial = tables.names.get(name)?.serial;
      return serial === undefined || tables.certs.has(serial) ? [] : [certKey(serial)];
    });
    await store.refresh(lacking, options);
  }
}

/** Reads the certificates of these serials. Throws Fault `etcd.…`. */
export async function lookUpSerials(
  { store }: Core,
  serials: readonly string[],
  options: ReadOptions = {},
): Promise<void> {
  for (let at = 0; at < serials.length; at += SERIALS_AT_ONCE) {
    await store.refresh(serials.slice(at, at + SERIALS_AT_ONCE).map(certKey), options);
  }
}
