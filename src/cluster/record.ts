// The cluster's part of the shared record: what it is, its settings, members and tokens.
// Every change is one transaction that compares what it was decided on (P6).

import { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";
import type { Etcd, KeyValue } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { withForeign } from "./foreign.ts";
import {
  EJECTED_KEY,
  FORMER_SETTINGS_PREFIX,
  MEMBERS_PREFIX,
  memberKey,
  META_KEY,
  SETTINGS_KEY,
  TOKENS_PREFIX,
  tokenKey,
  WORK_KEY,
} from "./keys.ts";
import { Ejected, Member, Meta, Settings } from "./schema.ts";
import { TokenRecord } from "./token.ts";
import { NO_WORK, Work } from "./work.ts";

/** A value with the revision that a later change of it must compare. */
export interface Kept<T> {
  value: T;
  /** As it stands in the record. */
  text: string;
  modRevision: number;
}

/** All that the record says about the cluster, read at one revision. */
export interface ClusterRecord {
  revision: number;
  meta: Kept<Meta>;
  settings: Kept<Settings>;
  members: Kept<Member>[];
  /** Undefined while the cluster's own CA signs. */
  ejected: Kept<Ejected> | undefined;
  work: Work;
}

/** How many former states of the settings are kept. */
const FORMER_MAX = 50;
const REVISION_DIGITS = 16;

/** The settings as they were before a change (`understudy/former-settings/<revision>`). */
export const FormerSettings = z.object({
  /** As they stood, whatever version wrote them. */
  settings: z.looseObject({}),
  /** When the next change came. */
  until: z.string(),
});

/** How often a compared change is tried again when somebody else was first. */
export const CONFLICT_TRIES_MAX = 8;

/** Reads what the cluster is. Undefined before init has written it. */
export async function readClusterRecord(
  etcd: Etcd,
  signal?: AbortSignal,
): Promise<ClusterRecord | undefined> {
  const result = await etcd.transact(
    {
      when: [],
      then: [
        { get: META_KEY },
        { get: SETTINGS_KEY },
        { range: MEMBERS_PREFIX },
        { get: EJECTED_KEY },
        { get: WORK_KEY },
      ],
    },
    signal === undefined ? {} : { signal },
  );
  const [meta = [], settings = [], members = [], [ejected] = [], [work] = []] = result.reads;
  if (meta[0] === undefined || settings[0] === undefined) return undefined;
  return {
    revision: result.revision,
    meta: parseKept(Meta, meta[0]),
    settings: parseKept(Settings, settings[0]),
    members: members.map((kv) => parseKept(Member, kv)),
    ejected: ejected && parseKept(Ejected, ejected),
    work: work === undefined ? NO_WORK : parseKept(Work, work).value,
  };
}

/**
 * Writes the first record of a new cluster. Run again by an init that was interrupted, it finds the
 * record there and brings the settings to what is wanted now. Throws Fault `cluster.settings` for
 * what could not be read again.
 */
export async function createClusterRecord(
  etcd: Etcd,
  first: { meta: Meta; settings: Settings; member: Member },
): Promise<void> {
  for (const [schema, value] of [
    [Settings, first.settings],
    [Member, first.member],
  ] as const) {
    const problem = schema.safeParse(value).error?.issues[0];
    if (problem === undefined) continue;
    throw new Fault("cluster.settings", `${problem.path.join(".")}: ${problem.message}`);
  }
  const meta = JSON.stringify(first.meta);
  const result = await etcd.transact(
    {
      when: [{ key: META_KEY, is: "absent" }],
      then: [
        { put: META_KEY, value: meta },
        { put: SETTINGS_KEY, value: JSON.stringify(first.settings) },
        { put: memberKey(first.member.id), value: JSON.stringify(first.member) },
      ],
      otherwise: [{ get: META_KEY }],
    },
    { settle: { key: META_KEY, value: meta } },
  );
  if (result.ok) return;
  const there = result.reads[0]?.[0];
  const found = there && Meta.parse(JSON.parse(there.value)).clusterId;
  if (found !== first.meta.clusterId) {
    throw new Fault("cluster.exists", `the record already holds another cluster (${found ?? "?"})`);
  }
  await updateSettings(etcd, ({ voters }) => ({ ...first.settings, voters }));
}

/** Changes one member's record by `change`; undefined from it leaves the record as it is. */
export async function updateMember(
  etcd: Etcd,
  id: string,
  change: (member: Member | undefined) => Member | undefined,
): Promise<number> {
  return update(etcd, memberKey(id), Member, change);
}

/**
 * Changes the settings by `change`, and keeps what they were. With `revision`, only if they are
 * still of it: else Fault `config.changed`. Without, it goes by what it finds. Returns the revision
 * at which they stand then.
 */
export async function updateSettings(
  etcd: Etcd,
  change: (settings: Settings) => Settings,
  { revision }: { revision?: number | undefined } = {},
): Promise<number> {
  for (let tries = 0; tries < CONFLICT_TRIES_MAX; tries += 1) {
    const kv = await etcd.get(SETTINGS_KEY);
    if (kv === undefined) throw new Fault("cluster.no-record", "the record has no settings yet");
    const before = parseKept(Settings, kv);
    if (revision !== undefined && before.modRevision !== revision) throw settingsChanged();
    const whole = JSON.parse(before.text) as object;
    const value = renderKept(before, change(before.value));
    if (value === renderKept(before, before.value)) return before.modRevision;
    const key = formerKey(before.modRevision);
    const former = JSON.stringify({ settings: whole, until: isoTime(wallMs()) });
    const surplus = await surplusKeys(etcd);
    const done = await etcd.transact(
      {
        when: [{ key: SETTINGS_KEY, modRevision: before.modRevision }],
        then: [
          { put: SETTINGS_KEY, value },
          { put: key, value: former },
          ...surplus.map((key) => ({ delete: key })),
        ],
      },
      // The same settings may come again; this is of one change alone.
      { settle: { key, value: former } },
    );
    if (done.ok) return done.revision;
  }
  throw conflict(SETTINGS_KEY);
}

/** Keys that must go so that one more has room; of very many, some. */
async function surplusKeys(etcd: Etcd): Promise<string[]> {
  const { kvs } = await etcd.range(FORMER_SETTINGS_PREFIX, { keysOnly: true });
  return kvs
    .slice(0, Math.max(0, kvs.length - FORMER_MAX + 1))
    .map(({ key }) => key)
    .slice(0, 100);
}

/** What a change throws that was decided on settings that are no more. */
export function settingsChanged(): Fault {
  return new Fault("config.changed", "the settings were changed by somebody else meanwhile", {
    hints: ["Nothing was changed now. What they are: understudy config show"],
  });
}

function formerKey(revision: number): string {
  return `${FORMER_SETTINGS_PREFIX}${String(revision).padStart(REVISION_DIGITS, "0")}`;
}

export async function readWork(etcd: Etcd): Promise<Work> {
  const kv = await etcd.get(WORK_KEY);
  return kv === undefined ? NO_WORK : parseKept(Work, kv).value;
}

/**
 * Changes the planned work by `change`, which may throw why not, or give back what it got. Returns
 * what is so then.
 */
export async function updateWork(etcd: Etcd, change: (work: Work) => Work): Promise<Work> {
  let after = NO_WORK;
  await update(etcd, WORK_KEY, Work, (before = NO_WORK) => {
    after = change(before);
    return after === before ? undefined : after;
  });
  return after;
}

export async function readTokens(etcd: Etcd): Promise<TokenRecord[]> {
  const { kvs } = await etcd.range(TOKENS_PREFIX);
  return kvs.map((kv) => parseKept(TokenRecord, kv).value);
}

export async function updateToken(
  etcd: Etcd,
  id: string,
  change: (token: TokenRecord | undefined) => TokenRecord | undefined,
): Promise<number> {
  return update(etcd, tokenKey(id), TokenRecord, change);
}

/** Deletes a token. Returns whether there was one. */
export async function deleteToken(etcd: Etcd, id: string): Promise<boolean> {
  const result = await etcd.transact({
    when: [{ key: tokenKey(id), is: "present" }],
    then: [{ delete: tokenKey(id) }],
  });
  return result.ok;
}

/**
 * Reads, changes, writes with a compare; again when somebody else was first. Returns the revision.
 */
export async function update<S extends z.ZodType>(
  etcd: Etcd,
  key: string,
  schema: S,
  change: (value: z.infer<S> | undefined) => z.infer<S> | undefined,
): Promise<number> {
  for (let tries = 0; tries < CONFLICT_TRIES_MAX; tries++) {
    const kv = await etcd.get(key);
    const before = kv && parseKept(schema, kv);
    const after = change(before?.value);
    if (after === undefined) return kv?.modRevision ?? 0;
    const value = renderKept(before, after);
    if (value === kv?.value) return kv.modRevision;
    const result = await etcd.transact(
      {
        when: [before ? { key, modRevision: before.modRevision } : { key, is: "absent" }],
        then: [{ put: key, value }],
      },
      { settle: { key, value } },
    );
    if (result.ok) return result.revision;
  }
  throw conflict(key);
}

/** What a compared change throws when others were first again and again. */
export function conflict(key: string): Fault {
  return new Fault(
    "cluster.conflict",
    `${key} was changed by others ${CONFLICT_TRIES_MAX} times in a row`,
    { hints: ["Try again."] },
  );
}

/** The text of `after` in place of `before`: what a newer version has added to that stays. */
export function renderKept<T>(before: Kept<T> | undefined, after: T): string {
  if (before === undefined) return JSON.stringify(after);
  return JSON.stringify(withForeign(JSON.parse(before.text), before.value, after));
}

/** A value of the record, checked. Throws Fault `cluster.record`. */
export function parseKept<S extends z.ZodType>(schema: S, kv: KeyValue): Kept<z.infer<S>> {
  try {
    return {
      value: schema.parse(JSON.parse(kv.value)),
      text: kv.value,
      modRevision: kv.modRevision,
    };
  } catch (error) {
    throw new Fault(
      "cluster.record",
      `${kv.key} in the record can't be read: ${messageOf(error)}`,
      {
        hints: [
          "A newer version of Understudy may have written it: understudy status shows versions.",
        ],
        cause: error,
      },
    );
  }
}
