// One command of a certname at a time at a PuppetDB, whoever sends it: this courier's deliveries,
// another courier, the sync. PuppetDB parks a catalog for an hour that a newer one overtakes in
// its queue.

import type { PassOptions, PuppetDbClient } from "./puppetdb-client.ts";

const COMMANDS = "/pdb/cmd/v1";

/** `client`, whose commands about one certname wait for each other. */
export function inTurn(client: PuppetDbClient): PuppetDbClient {
  const last = new Map<string, Promise<unknown>>();
  const after = async <T>(certname: string, act: () => Promise<T>): Promise<T> => {
    const before = last.get(certname) ?? Promise.resolve();
    const own = before.then(act, act);
    const ended = own.catch(() => undefined);
    last.set(certname, ended);
    try {
      return await own;
    } finally {
      if (last.get(certname) === ended) last.delete(certname);
    }
  };
  return {
    ...client,
    send: async (head, body, signal) =>
      after(head.certname, async () => client.send(head, body, signal)),
    async pass(options) {
      const certname = commandOf(options);
      if (certname === undefined) return client.pass(options);
      return after(certname, async () => {
        options.signal.throwIfAborted();
        return client.pass(options);
      });
    },
  };
}

/** The certname that a command is about; undefined: it is none. */
function commandOf({ method, path }: PassOptions): string | undefined {
  const [pathname, query = ""] = path.split("?", 2);
  if (method !== "POST" || pathname !== COMMANDS) return undefined;
  return new URLSearchParams(query).get("certname") ?? undefined;
}
