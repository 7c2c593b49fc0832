// Access tokens in the record, and what a member keeps of them: in memory and on disk, so that it
// knows who may ask without etcd too. Danger: a member that can't reach the record goes on with the
// tokens that it knew, also with one that was revoked meanwhile; so who revokes is told of it.

import { z } from "zod";
import { Fault, isFault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { Etcd } from "../etcd/types.ts";
import { readIfThere, writeIfChanged } from "../host/files.ts";
import {
  AccessList,
  type AccessRole,
  makeAccessToken,
  withAccessToken,
  withoutAccessToken,
} from "./access.ts";
import { ACCESS_KEY } from "./keys.ts";
import { parseKept, update } from "./record.ts";

const TICK_MS = 5000;
const NONE: AccessList = { tokens: [] };

/** The tokens as a member keeps them, and the revision of the record's key that it read. */
const KeptAccess = AccessList.extend({ revision: z.int() });
type KeptAccess = z.infer<typeof KeptAccess>;

/** What this member knows of who may ask. */
export interface AccessKeeper {
  current(): AccessList;
  /** The revision of the last change that it knows; 0 where there was none. */
  revision(): number;
  loop: Loop;
}

/** Starts reading; what the disk has is known at once. */
export async function startAccessKeeper(options: {
  etcd: Etcd;
  file: string;
  /** Whether the record was read lately, and is of this member's generation. */
  reachable(): boolean;
  log: Log;
  signal: AbortSignal;
}): Promise<AccessKeeper> {
  const { etcd, file, log, signal } = options;
  let kept: KeptAccess = (await readKept(file, log)) ?? { ...NONE, revision: 0 };
  let watching = false;
  const watch = (fromRevision: number) => {
    watching = true;
    etcd.watch(ACCESS_KEY, {
      fromRevision,
      signal,
      onEvents: () => loop.wake(),
      // The next tick reads what was changed in between, and watches from there.
      onLost: () => {
        watching = false;
      },
    });
  };
  const read = async () => {
    if (!options.reachable()) return;
    const { kvs, revision } = await etcd.range(ACCESS_KEY, { signal });
    const kv = kvs.find(({ key }) => key === ACCESS_KEY);
    const list = kv === undefined ? NONE : parseKept(AccessList, kv).value;
    kept = { ...list, revision: kv?.modRevision ?? 0 };
    if (!watching) watch(revision + 1);
    await writeIfChanged(file, `${JSON.stringify(kept)}\n`, { mode: 0o600 });
  };
  const loop = startLoop({ name: "access tokens", everyMs: TICK_MS, log, signal, body: read });
  return { loop, current: () => kept, revision: () => kept.revision };
}

/** Makes a token; its text is returned once. `revision`: from where on members know it. */
export async function createAccess(
  etcd: Etcd,
  wish: { name: string; role: AccessRole; validMs: number; createdBy: string; nowMs: number },
): Promise<{ text: string; revision: number }> {
  const { text, token } = makeAccessToken(wish);
  try {
    const revision = await update(etcd, ACCESS_KEY, AccessList, (list = NONE) =>
      // Where the answer to the first try was lost, this one finds its own token there.
      list.tokens.some(({ id }) => id === token.id)
        ? list
        : withAccessToken(list, token, wish.nowMs),
    );
    return { text, revision };
  } catch (error) {
    if (!isFault(error, "etcd.outcome-unknown")) throw error;
    throw new Fault(error.code, error.message, {
      hints: [
        ...error.hints,
        `If understudy access list has ${wish.name}, revoke it: nobody has its text.`,
      ],
      cause: error,
    });
  }
}

/** Ends the token of this name. `revision`: from where on members refuse it. */
export async function revokeAccess(etcd: Etcd, name: string): Promise<{ revision: number }> {
  const revision = await update(etcd, ACCESS_KEY, AccessList, (list = NONE) =>
    withoutAccessToken(list, name),
  );
  return { revision };
}

/** The list as the record has it now. Throws what etcd throws. */
export async function readAccess(etcd: Etcd): Promise<AccessList> {
  const kv = await etcd.get(ACCESS_KEY);
  return kv === undefined ? NONE : parseKept(AccessList, kv).value;
}

/** A file that can't be read lets nobody in; the record brings it back. */
async function readKept(file: string, log: Log): Promise<KeptAccess | undefined> {
  try {
    const text = await readIfThere(file);
    return text === undefined ? undefined : KeptAccess.parse(JSON.parse(text));
  } catch (error) {
    log.warn(`${file} can't be read: ${String(error)}`);
    return undefined;
  }
}
