// Who is a member, as compared transactions. A token is bound in the one that makes its member, and
// deleted in the one that deletes it: it never makes two, and never brings one back. Danger: a
// member's key can be made anew under the same name, so whoever waited compares that it wasn't.

import { Fault } from "../base/fault.ts";
import type { Compare, Etcd, KeyValue } from "../etcd/types.ts";
import { addressKey, memberKey, MEMBERS_PREFIX, tokenKey, TOKENS_PREFIX } from "./keys.ts";
import { conflict, CONFLICT_TRIES_MAX, parseKept, renderKept, updateMember } from "./record.ts";
import { Member } from "./schema.ts";
import { TokenRecord } from "./token.ts";

/** A member with the revision at which its key was made: another one after it joined anew. */
export interface KnownMember {
  member: Member;
  modRevision: number;
  createRevision: number;
}

/** The member `id` as the record has it now, or undefined. */
export async function readMember(etcd: Etcd, id: string): Promise<KnownMember | undefined> {
  const kv = await etcd.get(memberKey(id));
  return kv && known(kv);
}

/** All members as the record has them now. */
export async function readMembers(etcd: Etcd): Promise<Member[]> {
  const { kvs } = await etcd.range(MEMBERS_PREFIX);
  return kvs.map((kv) => known(kv).member);
}

/** The member `id`, which is not on its way out. Throws Fault `pki.forbidden`. */
export async function requireStaying(etcd: Etcd, id: string): Promise<KnownMember> {
  const found = await readMember(etcd, id);
  if (found !== undefined && found.member.phase !== "leaving") return found;
  throw new Fault("pki.forbidden", `${id} is no member of this cluster, or is on its way out`);
}

/**
 * Binds a token and makes its member, or finds both from an interrupted join. `decide` gets what
 * the record says and gives what it is to say, or throws why not.
 */
export async function admitMember(
  etcd: Etcd,
  joiner: { tokenId: string; id: string; address: string },
  decide: (
    token: TokenRecord | undefined,
    members: Member[],
  ) => {
    token: TokenRecord;
    member: Member;
  },
): Promise<void> {
  const keys = {
    token: tokenKey(joiner.tokenId),
    member: memberKey(joiner.id),
    address: addressKey(joiner.address),
  };
  for (let tries = 0; tries < CONFLICT_TRIES_MAX; tries++) {
    const read = await etcd.transact({
      when: [],
      then: [{ get: keys.token }, { range: MEMBERS_PREFIX }, { get: keys.address }],
    });
    const [[tokenKv] = [], memberKvs = [], [addressKv] = []] = read.reads;
    const token = tokenKv && parseKept(TokenRecord, tokenKv).value;
    const members = memberKvs.map((kv) => parseKept(Member, kv).value);
    const wish = decide(token, members);
    const before = memberKvs.find((kv) => kv.key === keys.member);
    const values = { token: JSON.stringify(wish.token), member: JSON.stringify(wish.member) };
    const done = await etcd.transact(
      {
        when: [
          asRead(keys.token, tokenKv),
          asRead(keys.member, before),
          asRead(keys.address, addressKv),
        ],
        then: [
          { put: keys.token, value: values.token },
          { put: keys.member, value: values.member },
          { put: keys.address, value: joiner.id },
        ],
      },
      // A token that was bound before keeps its value, so then the member's tells.
      {
        settle:
          values.token === tokenKv?.value
            ? { key: keys.member, value: values.member }
            : { key: keys.token, value: values.token },
      },
    );
    if (done.ok) return;
  }
  throw conflict(keys.member);
}

/**
 * Deletes a member that was read as `was`, and every token that made it. Somebody who has joined
 * anew under its name since stays. Returns the revision of the change.
 */
export async function deleteMember(etcd: Etcd, was: KnownMember): Promise<number> {
  const { id, address } = was.member;
  const { kvs } = await etcd.range(TOKENS_PREFIX);
  const spent = kvs.filter((kv) => parseKept(TokenRecord, kv).value.member === id);
  const done = await etcd.transact({
    when: [{ key: memberKey(id), createRevision: was.createRevision }],
    then: [memberKey(id), addressKey(address), ...spent.map((kv) => kv.key)].map((key) => ({
      delete: key,
    })),
  });
  return done.revision;
}

/**
 * The member is on its way out: nobody gives it work, a vote or certificates any more. A server
 * only while another one stays, which is compared: two that take each other out would leave none.
 * Throws Fault `member.remove-refused`.
 */
export async function markLeaving(etcd: Etcd, id: string): Promise<void> {
  const key = memberKey(id);
  for (let tries = 0; tries < CONFLICT_TRIES_MAX; tries++) {
    const { kvs } = await etcd.range(MEMBERS_PREFIX);
    const members = kvs.map((kv) => parseKept(Member, kv));
    const own = members.find(({ value }) => value.id === id);
    if (own === undefined || own.value.phase === "leaving") return;
    const stays = members.find(({ value }) => {
      return value.id !== id && value.role === "server" && value.phase !== "leaving";
    });
    if (own.value.role === "server" && stays === undefined) throw noneStays(id);
    const value = renderKept(own, { ...own.value, phase: "leaving" });
    const done = await etcd.transact(
      {
        when: [
          { key, modRevision: own.modRevision },
          ...(stays === undefined
            ? []
            : [{ key: memberKey(stays.value.id), modRevision: stays.modRevision }]),
        ],
        then: [{ put: key, value }],
      },
      { settle: { key, value } },
    );
    if (done.ok) return;
  }
  throw conflict(key);
}

function noneStays(id: string): Fault {
  return new Fault(
    "member.remove-refused",
    `every other server is on its way out, so ${id} stays: without it there is no cluster`,
    { hints: ["Who leaves: understudy status"] },
  );
}

/** It stays after all, as what it was: a server that may not vote yet was still joining. */
export async function putBack(etcd: Etcd, id: string): Promise<void> {
  await updateMember(etcd, id, (member) => {
    if (member?.phase !== "leaving") return undefined;
    const joining = member.role === "server" && !member.mayVote;
    return { ...member, phase: joining ? "joining" : "ready" };
  });
}

function known(kv: KeyValue): KnownMember {
  const { value, modRevision } = parseKept(Member, kv);
  return { member: value, modRevision, createRevision: kv.createRevision };
}

function asRead(key: string, kv: KeyValue | undefined): Compare {
  return kv === undefined ? { key, is: "absent" } : { key, modRevision: kv.modRevision };
}
