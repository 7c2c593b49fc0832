// Brings what the record has of some names into memory, as it is now.

import { isCertname } from "./certname.ts";
import type { Core } from "./core.ts";
import { certKey, nameKey, requestKey } from "./record.ts";
import type { ReadOptions } from "./store.ts";

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
  const some = names.filter(isCertname);
  await store.refresh(
    some.flatMap((name) => [nameKey(name), requestKey(name)]),
    options,
  );
  const lacking = some.flatMap((name) => {
    const serial = tables.names.get(name)?.serial;
    return serial === undefined || tables.certs.has(serial) ? [] : [certKey(serial)];
  });
  await store.refresh(lacking, options);
}
