// Membership. The idea: every change is named by the state it leads to (this peer URL is in, this
// id is out), so a change whose answer was lost is simply asked for again, and "already so" is
// success. Danger: etcd 3.4 lists members from the asked member's own memory, which may be stale.

import { Fault, isFault } from "../base/fault.ts";
import { ask, type Client } from "./call.ts";
import type { RevisionClient } from "./transaction.ts";
import type { CallOptions, Etcd, EtcdMember } from "./types.ts";
import { asObject, asText, decodeMembers, encode, type Json } from "./wire.ts";

/** etcd refuses changes until every voter has been connected for 5 s: waited for, and some more. */
const CHANGE_MS_DEFAULT = 10_000;

/** The membership part of the client. */
export function createMembers(client: RevisionClient): Etcd["members"] {
  const list: Etcd["members"]["list"] = (options) => listMembers(client, options);
  const change = async (what: string, body: Json, options: CallOptions = {}) => {
    const limits = { withinMs: CHANGE_MS_DEFAULT, ...options };
    return (await ask(client, { path: `/v3/cluster/member/${what}`, body }, limits)).body;
  };
  return {
    list,
    async addLearner(peerUrl: string, options?: CallOptions): Promise<string> {
      const body = { peerURLs: [peerUrl], isLearner: true };
      try {
        const answer = asObject(await change("add", body, options), "an answer");
        const added = asObject(answer["member"], "a member");
        return asText(added["ID"], "0");
      } catch (error) {
        // Which of the two it is depends on whether a second has passed since the first time.
        const already = ["Peer URLs already exists", "member ID already exist"];
        if (!already.some((text) => refusedWith(error, text))) throw error;
        const there = (await list(options)).find((member) => member.peerUrls.includes(peerUrl));
        if (there === undefined) throw error;
        return there.id;
      }
    },
    async promote(id: string, options?: CallOptions): Promise<{ ok: boolean; because: string }> {
      try {
        await change("promote", { ID: id }, options);
        return { ok: true, because: "promoted" };
      } catch (error) {
        if (refusedWith(error, "which is in sync with leader")) {
          return { ok: false, because: "it has not caught up with the leader yet" };
        }
        if (!refusedWith(error, "can only promote a learner member")) throw error;
        return { ok: true, because: "it was a voter already" };
      }
    },
    async remove(id: string, options?: CallOptions): Promise<void> {
      try {
        await change("remove", { ID: id }, options);
      } catch (error) {
        if (!refusedWith(error, "member not found")) throw error;
      }
    },
  };
}

/**
 * Reads linearizably from one member, then lists from the same: it has applied what was agreed. One
 * that is known to have come as far as `asOf` needs no such read.
 */
async function listMembers(
  client: RevisionClient,
  { asOf = Number.POSITIVE_INFINITY, ...options }: CallOptions & { asOf?: number } = {},
): Promise<EtcdMember[]> {
  const [first] = client.endpoints.order();
  if (asOf <= client.newestRevision && client.newestFrom === first) {
    const quick = { ...options, withinMs: client.attemptMs };
    const listed = await listFrom(client, first, quick).catch(() => undefined);
    if (listed !== undefined) return listed;
  }
  const body = { key: encode("understudy"), limit: "1", keys_only: true };
  const { endpoint } = await ask(client, { path: "/v3/kv/range", body }, options);
  return listFrom(client, endpoint, options);
}

async function listFrom(client: Client, endpoint: string, options: CallOptions) {
  const request = { path: "/v3/cluster/member/list", body: {}, endpoint };
  const members = decodeMembers((await ask(client, request, options)).body);
  if (members.length > 0) return members;
  throw new Fault("etcd.garbled", `${endpoint} lists no etcd member at all`);
}

function refusedWith(error: unknown, text: string): boolean {
  return isFault(error, "etcd.refused") && error.message.includes(text);
}
