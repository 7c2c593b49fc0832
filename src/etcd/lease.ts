// Leases. The idea: a lease's age counts from when its renewal was sent, so the holder believes in
// its lease for less long than etcd does. Danger: counting from the answer instead makes two
// leaders.

import { isFault } from "../base/fault.ts";
import { ask, type Client } from "./call.ts";
import type { CallOptions, Etcd } from "./types.ts";
import { asNumber, asObject, asText } from "./wire.ts";

/** The lease part of the client. All of it may be repeated: a lost grant just expires. */
export function createLeases(client: Client): Etcd["lease"] {
  return {
    async grant(ttlSeconds: number, options?: CallOptions): Promise<string> {
      const body = { TTL: String(ttlSeconds) };
      const answer = await ask(client, { path: "/v3/lease/grant", body }, options);
      return asText(asObject(answer.body, "a lease")["ID"], "0");
    },
    async keepAlive(id: string, options?: CallOptions): Promise<number> {
      const answer = await ask(client, { path: "/v3/lease/keepalive", body: { ID: id } }, options);
      const result = asObject(asObject(answer.body, "an answer")["result"], "a lease");
      return asNumber(result["TTL"]);
    },
    async revoke(id: string, options?: CallOptions): Promise<void> {
      try {
        await ask(client, { path: "/v3/lease/revoke", body: { ID: id } }, options);
      } catch (error) {
        if (isFault(error, "etcd.refused") && error.message.includes("lease not found")) return;
        throw error;
      }
    },
  };
}
