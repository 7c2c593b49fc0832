// What this member is fit for, as load balancers and probes ask it. Pure, and only of what the
// daemon's loops remember, so that the answer is there at once. Danger: everybody may ask, so no
// name and no message of anything else gets into an answer; those are in the status.

import type { CourierStatus } from "./courier-status.ts";
import type { LocalStatus } from "./status.ts";

/** A control loop that is older hangs; each of its waits ends sooner. */
const LOOP_MS_MAX = 60_000;

export const HEALTH_CHECKS = ["live", "ready", "edge", "ca", "puppetdb", "leader"] as const;
export type HealthCheck = (typeof HEALTH_CHECKS)[number];

export interface HealthFacts {
  /** Why systemd is to start this daemon anew; empty: there is no reason. */
  hung: string;
  /** How long ago the control loop last came round, milliseconds. */
  loopAgeMs: number;
  role: LocalStatus["role"];
  phase: LocalStatus["phase"];
  /** Whether the record has it as leaving. */
  leaving: boolean;
  /** Whether an administrator keeps agents' work from it. */
  drained: boolean;
  /** Why this member's own puppetserver gets no requests; empty: it may get some. */
  unfit: string;
  edge: { active: boolean; backends: readonly { state: string }[] } | undefined;
  ca: { serving: boolean; ejected: boolean } | undefined;
  courier: Pick<CourierStatus, "runs" | "puppetdbs"> | undefined;
  leads: boolean;
}

/** 200 or 503, and why in words. */
export interface Health {
  ok: boolean;
  because: string;
}

export function judgeHealth(check: HealthCheck, facts: HealthFacts): Health {
  switch (check) {
    case "live":
      return judgeLive(facts);
    case "ready":
      return judgeReady(facts);
    case "edge":
      return judgeEdge(facts);
    case "ca":
      return judgeCa(facts);
    case "puppetdb":
      return judgePuppetdb(facts);
    case "leader":
      return facts.leads
        ? yes("this member runs the cluster's chores")
        : no("another member runs the cluster's chores, or none does");
  }
}

function judgeLive({ hung, loopAgeMs }: HealthFacts): Health {
  if (hung !== "") return no(hung);
  const age = `the control loop came round ${Math.round(loopAgeMs / 1000)} s ago`;
  return loopAgeMs > LOOP_MS_MAX ? no(age) : yes(age);
}

function judgeReady(facts: HealthFacts): Health {
  const live = judgeLive(facts);
  if (!live.ok) return live;
  if (facts.phase !== "ready") return no("this member hasn't finished setting up");
  if (facts.leaving) return no("this member is leaving");
  if (facts.drained) return no("this member is drained");
  if (facts.role !== "server") {
    if (facts.unfit !== "") return no("its puppetserver gets no requests now");
    return yes(`this ${facts.role} is ready`);
  }
  const edge = judgeEdge(facts);
  if (!edge.ok) return edge;
  const ca = judgeCa(facts);
  // Once the CA was given back to stock Puppet Server no member signs, and each is ready.
  return ca.ok || facts.ca?.ejected === true ? yes("this server takes agents") : ca;
}

function judgeEdge({ edge }: HealthFacts): Health {
  if (edge === undefined) return no("this member has no edge: it is no server");
  if (!edge.active) return no("HAProxy takes no agents here");
  const up = edge.backends.filter(({ state }) => state === "up").length;
  // It holds requests meanwhile: agents are better off here than with an error.
  if (up === 0) return yes("the edge takes agents, and holds them: no puppetserver is up");
  return yes(`the edge takes agents; puppetservers up: ${up}`);
}

function judgeCa({ ca }: HealthFacts): Health {
  if (ca === undefined) return no("this member holds no certificate authority");
  if (ca.ejected) return no("the CA is stock Puppet Server's");
  return ca.serving ? yes("the CA serves here") : no("the CA doesn't serve here");
}

function judgePuppetdb({ courier }: HealthFacts): Health {
  if (courier === undefined) return no("no courier for PuppetDB is to run here");
  if (!courier.runs) return no("the courier doesn't answer");
  if (courier.puppetdbs.some(({ fit }) => fit)) return yes("a PuppetDB answers queries");
  return no("no PuppetDB is fit: queries are refused, commands are kept");
}

const yes = (because: string): Health => ({ ok: true, because });
const no = (because: string): Health => ({ ok: false, because });
