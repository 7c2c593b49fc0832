// This server's durable copy of the record, and asking the others for theirs (decision 11): with
// fewer than three voters a change counts as safe when another server has it on disk too.

import { HasCopyAnswer } from "../api/member-app.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { type Journal, openJournal } from "../ca/journal.ts";
import type { Copies } from "../ca/operations.ts";
import { KEY_PREFIX } from "../cluster/keys.ts";
import type { Peers } from "../cluster/peer.ts";
import { serversOf } from "../cluster/view.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { quorumOf } from "../etcd/voters.ts";
import type { Etcd, WatchEvent } from "../etcd/types.ts";
import { monotonicMs } from "../host/clock.ts";
import { PATHS } from "../host/paths.ts";

/** How long another server may take to say that it has a change on disk. */
const COPY_MS = 3000;
const RETRY_MS = 500;

export interface Copier {
  /** Waits until the copy here has `revision`; false if it doesn't in time. */
  has(revision: number): Promise<boolean>;
  /** Which servers have `revision` on disk, this one counted. */
  confirm(revision: number): Promise<Copies>;
  journal: Journal;
  /** Why the copy here isn't up to date; empty while it is. */
  problem(): string;
}

export async function startCopier(options: {
  etcd: Etcd;
  id: string;
  keeper: ViewKeeper;
  peers: Peers;
  log: Log;
  signal: AbortSignal;
}): Promise<Copier> {
  const { etcd, id, keeper, peers, log, signal } = options;
  const journal = await openJournal(PATHS.journal, { log });
  let problem = "not started";
  let waiters: (() => void)[] = [];
  const applied = () => {
    for (const wake of waiters) wake();
    waiters = [];
  };
  const follow = async () => {
    while (!signal.aborted) {
      try {
        await followOnce({ etcd, journal, signal, applied, caughtUp: () => (problem = "") });
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error);
        await pause(RETRY_MS, signal);
      }
    }
  };
  void follow();

  const has = async (revision: number) => {
    const endMs = monotonicMs() + COPY_MS;
    while (journal.appliedRevision() < revision && monotonicMs() < endMs && !signal.aborted) {
      const woken = new AbortController();
      waiters.push(() => woken.abort());
      await pause(Math.max(1, endMs - monotonicMs()), AbortSignal.any([signal, woken.signal]));
    }
    return journal.appliedRevision() >= revision;
  };
  return {
    has,
    journal,
    problem: () => problem,
    async confirm(revision) {
      const view = keeper.current();
      const voters = view?.etcdMembers.filter((member) => !member.learner) ?? [];
      // etcd has it on a majority of disks already.
      if (voters.length >= 3) {
        return { copies: quorumOf(voters.length), of: voters.map((voter) => voter.name) };
      }
      const others = view === undefined ? [] : serversOf(view).filter((each) => each.id !== id);
      const said = await Promise.all(
        others.map(async (member) =>
          peers
            .call(member.address, "/v1/copies", {
              body: { revision },
              answer: HasCopyAnswer,
              withinMs: COPY_MS + 500,
            })
            .then(
              (answer) => (answer.has ? [member.id] : []),
              () => [],
            ),
        ),
      );
      const of = [...new Set([...voters.map((voter) => voter.name), ...said.flat()])];
      return { copies: of.length, of };
    },
  };
}

/** Reads all, then follows; throws or returns when it must start again. */
async function followOnce(options: {
  etcd: Etcd;
  journal: Journal;
  signal: AbortSignal;
  applied: () => void;
  caughtUp: () => void;
}): Promise<void> {
  const { etcd, journal, signal } = options;
  const { kvs, revision } = await etcd.range(KEY_PREFIX);
  const events = kvs.map(({ key, value, modRevision }) => ({ key, value, revision: modRevision }));
  await journal.rewrite(events, revision);
  options.applied();
  options.caughtUp();
  // Appends go one after the other; the first that fails ends this round, and the next reads all
  // anew.
  let chain = Promise.resolve();
  const lost = new AbortController();
  const why = await new Promise<unknown>((resolve) => {
    const append = async (batch: WatchEvent[], upTo: number) => {
      await journal.append(batch.map(toJournal), upTo);
      options.applied();
    };
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    etcd.watch(KEY_PREFIX, {
      fromRevision: revision + 1,
      signal: AbortSignal.any([signal, lost.signal]),
      onEvents: (batch, upTo) => {
        chain = chain.then(async () => append(batch, upTo)).catch(resolve);
      },
      onLost: (because) => resolve(new Error(because)),
    });
  });
  lost.abort();
  await chain;
  if (why !== undefined) throw why;
}

function toJournal({ type, kv }: WatchEvent) {
  return { key: kv.key, value: type === "delete" ? null : kv.value, revision: kv.modRevision };
}
