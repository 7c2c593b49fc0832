// This server's durable copy of the record, and asking the others for theirs (decision 11): with
// fewer than three voters a change counts as safe when another server has it on disk too.

import { HasCopyAnswer } from "../api/member-app.ts";
import type { Log } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { shareNext } from "../base/share-next.ts";
import { startFollower } from "../ca/follow.ts";
import { recordOlder } from "../ca/follow-plan.ts";
import type { Journal } from "../ca/journal.ts";
import type { Copies } from "../ca/outcome.ts";
import type { Peers } from "../cluster/peer.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { CopyVerdict } from "../cluster/status.ts";
import { serversOf } from "../cluster/view.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { quorumOf } from "../etcd/voters.ts";
import type { Etcd } from "../etcd/types.ts";
import type { Neighbours } from "./neighbours.ts";

/** How long another server may take to say that it has a change on disk. */
const COPY_MS = 3000;
/** How long the first change waits for the other servers' word on etcd's record. */
const WORD_MS = 10_000;
const WORD_POLL_MS = 50;

export interface Copier {
  /** Waits until the copy here has `revision`; false if it doesn't in time. */
  has(revision: number): Promise<boolean>;
  /** Which servers have `revision` on disk, this one counted. */
  confirm(revision: number): Promise<Copies>;
  journal: Journal;
  /**
   * Resolves when the record may be built on. Throws Fault `ca.record-older` when it is older than
   * the copy here, or than one of the others': a disk that was put back whole has an old copy too.
   */
  trust(): Promise<void>;
  /** Whether the copy here follows etcd's record, for the other servers. */
  verdict(): CopyVerdict;
  /** Why the copy here isn't up to date, a whole sentence; empty while it is. */
  problem(): string;
}

/** Who waits for the copy here to have a revision. */
interface Waiter {
  revision: number;
  wake: () => void;
}

export function startCopier(options: {
  journal: Journal;
  etcd: Etcd;
  node: Pick<NodeFile, "id" | "clusterId" | "generation">;
  keeper: Pick<ViewKeeper, "current">;
  peers: Pick<Peers, "call">;
  /** What the others say of their copies; undefined until they were asked. */
  neighbours: Pick<Neighbours, "copies" | "askAgain">;
  log: Log;
  signal: AbortSignal;
}): Copier {
  const { journal, etcd, node, keeper, peers, neighbours, log, signal } = options;
  const waiters = new Set<Waiter>();
  // A crowd that enrols waits for as many revisions: each is woken by its own.
  const onApplied = () => {
    for (const { revision, wake } of waiters) if (holds(revision)) wake();
  };
  const follower = startFollower({ etcd, journal, member: node, onApplied, log, signal });

  // A copy of another history has its revisions too.
  const holds = (revision: number) => follower.isSame() && journal.appliedRevision() >= revision;
  signal.addEventListener("abort", () => waiters.forEach(({ wake }) => wake()), { once: true });
  const has = async (revision: number) => {
    if (holds(revision) || signal.aborted) return holds(revision);
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>();
    const waiter = { revision, wake };
    const timer = setTimeout(wake, COPY_MS);
    waiters.add(waiter);
    await woken;
    waiters.delete(waiter);
    clearTimeout(timer);
    return holds(revision);
  };
  let heard = false;
  const othersAgree = async () => {
    if (judgeOthers(neighbours.copies()).is === "refused") {
      // What etcd has may have been put right since that was said.
      await neighbours.askAgain();
      heard = false;
    }
    if (!heard) {
      const said = () => judgeOthers(neighbours.copies()).is !== "unknown";
      const limits = { withinMs: WORD_MS, everyMs: WORD_POLL_MS, signal };
      await until("the others' word", said, limits).catch(() => undefined);
      heard = true;
    }
    const word = judgeOthers(neighbours.copies());
    if (word.is === "refused") throw recordOlder(word.because, word.whose);
  };
  // Of certificates that are signed at the same moment, one question is enough.
  let newest = 0;
  const voters = shareNext(() => readVoters(etcd, newest));
  const asked = async (address: string, revision: number): Promise<boolean> => {
    const options = { body: { revision }, answer: HasCopyAnswer, withinMs: COPY_MS + 500 };
    const answer = await peers.call(address, "/v1/copies", options).catch(() => undefined);
    return answer?.has === true;
  };
  return {
    has,
    journal,
    async trust() {
      await follower.trust();
      await othersAgree();
    },
    verdict: () => follower.verdict(),
    problem: () => follower.problem(),
    async confirm(revision) {
      newest = Math.max(newest, revision);
      const voting = await voters();
      if (voting.length >= 3) return countCopies(voting, []);
      const view = keeper.current();
      const others = view === undefined ? [] : serversOf(view).filter(({ id }) => id !== node.id);
      const said = await Promise.all([
        has(revision).then((own) => (own ? [node.id] : [])),
        ...others.map(async ({ id, address }) => ((await asked(address, revision)) ? [id] : [])),
      ]);
      return countCopies(voting, said.flat());
    },
  };
}

/**
 * Whether the other servers' copies follow etcd's record too, by what each said of its own;
 * `unknown` while one of them, or whoever asks them, doesn't know yet.
 */
export function judgeOthers(
  said: ReadonlyMap<string, CopyVerdict> | undefined,
): { is: "same" | "unknown" } | { is: "refused"; whose: string; because: string } {
  if (said === undefined) return { is: "unknown" };
  for (const [whose, { state, because }] of said) {
    if (state === "refused") return { is: "refused", whose, because };
  }
  return { is: [...said.values()].some(({ state }) => state === "unknown") ? "unknown" : "same" };
}

/**
 * Who has a change on disk: of three voters and more a majority; else all of them, and the servers
 * whose own copy has it.
 */
export function countCopies(voters: readonly string[], copied: readonly string[]): Copies {
  if (voters.length >= 3) return { copies: quorumOf(voters.length), of: [...voters] };
  const of = [...new Set([...voters, ...copied])];
  return { copies: Math.max(1, of.length), of };
}

/**
 * Who votes, as of `revision` or later: the view may be older than a voter's end. None when that
 * can't be known.
 */
async function readVoters(etcd: Etcd, revision: number): Promise<string[]> {
  const members = await etcd.members.list({ withinMs: COPY_MS, asOf: revision }).catch(() => []);
  return members.filter(({ learner }) => !learner).map(({ name }) => name);
}
