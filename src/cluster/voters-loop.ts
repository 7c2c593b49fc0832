// Grows etcd from one voter to three or five as servers become ready, and replaces one that is gone
// for good. The leader runs it; one step a tick, each taken from what is observed then, so an
// interruption costs a tick. The judgement is etcd/voters.ts.

import type { Acts } from "../base/acts.ts";
import type { Log } from "../base/log.ts";
import { clientUrl, peerUrl } from "../etcd/server.ts";
import { monotonicMs } from "../host/clock.ts";
import type { Etcd, MemberStatus } from "../etcd/types.ts";
import { caughtUp, type ObservedMember, planVoters, type VoterAction } from "../etcd/voters.ts";
import type { View } from "./view.ts";

const STATUS_MS = 2000;
/** A learner answers once it has copied everything: 4 GiB at most, from a slow disk to a slow disk. */
const LEARNER_SILENT_MS = 15 * 60_000;

export interface Voters {
  /** One step towards the voters that the settings want. */
  step(view: View, reachable: (id: string) => boolean): Promise<void>;
  /** Somebody else leads now: what was planned here says nothing any more. */
  rest(): void;
  /** What is being done or waited for, in words; empty when all is well, or another leads. */
  planning(): string;
}

export function createVoters(etcd: Etcd, log: Log, acts: Acts): Voters {
  let planned: VoterAction[] = [];
  const silence = createSilence();
  return {
    async step(view, reachable) {
      const members = await observeVoters(etcd);
      const stuck = silence.stuck(members, monotonicMs());
      const observed = members.map((member) => ({ ...member, stuck: stuck.has(member.id) }));
      const candidates = view.members.map((member) => ({
        id: member.id,
        name: member.id,
        peerUrl: peerUrl(member.address),
        wants: member.mayVote && member.phase !== "leaving",
        ready: reachable(member.id),
      }));
      planned = planVoters(view.settings.voters, candidates, { members: observed });
      acts.note("voters", planned);
      for (const action of planned) await apply(etcd, action, log);
    },
    rest() {
      planned = [];
      silence.forget();
    },
    planning: () => planned.map(({ because }) => because).join("; "),
  };
}

/** Remembers since when each learner has been silent, as long as this member leads. */
export function createSilence() {
  let since = new Map<string, number>();
  return {
    /** The learners that have been silent at every look for long, by etcd's member id. */
    stuck(members: readonly ObservedMember[], nowMs: number): ReadonlySet<string> {
      const silent = members.filter(({ learner, healthy }) => learner && !healthy);
      since = new Map(silent.map(({ id }) => [id, since.get(id) ?? nowMs]));
      const long = [...since].filter(([, sinceMs]) => nowMs - sinceMs >= LEARNER_SILENT_MS);
      return new Set(long.map(([id]) => id));
    },
    forget: () => since.clear(),
  };
}

async function observeVoters(etcd: Etcd): Promise<ObservedMember[]> {
  const members = await etcd.members.list();
  const statuses = await Promise.all(
    members.map((member) => readStatus(etcd, member.clientUrls[0] ?? guessUrl(member.peerUrls))),
  );
  const leader = statuses.find(
    (status) => status !== undefined && status.leaderId === status.memberId,
  );
  return members.map((member, index) => {
    const status = statuses[index];
    return {
      id: member.id,
      name: member.name,
      peerUrls: member.peerUrls,
      learner: member.learner,
      healthy: status !== undefined && status.leaderId !== "0",
      leader: status !== undefined && status === leader,
      caughtUp: status !== undefined && leader !== undefined && caughtUp(status, leader),
    };
  });
}

async function readStatus(etcd: Etcd, url: string): Promise<MemberStatus | undefined> {
  return etcd.status(url, { withinMs: STATUS_MS }).catch(() => undefined);
}

/** A learner has no client URL in the list until it has started. */
function guessUrl(peerUrls: string[]): string {
  const host = URL.parse(peerUrls[0] ?? "")?.hostname ?? "127.0.0.1";
  return clientUrl(host.replace(/^\[|\]$/g, ""));
}

async function apply(etcd: Etcd, action: VoterAction, log: Log): Promise<void> {
  switch (action.do) {
    case "add-learner":
      log.notice(`etcd: adding a learner: ${action.because}`);
      await etcd.members.addLearner(action.peerUrl);
      return;
    case "promote": {
      const outcome = await etcd.members.promote(action.memberId);
      log.notice(
        `etcd: promoting: ${action.because}${outcome.ok ? "" : `; not yet: ${outcome.because}`}`,
      );
      return;
    }
    case "remove":
      log.notice(`etcd: removing a member: ${action.because}`);
      await etcd.members.remove(action.memberId);
      return;
    case "wait":
    case "refuse":
      return;
  }
}
