// How many failures the cluster tolerates now, and what keeps it from tolerating more. Pure. A
// failure is the loss of a whole server: each of its parts must have another one elsewhere.

import { quorumOf } from "../etcd/voters.ts";
import { toleratedFailures } from "./view.ts";

export interface Parts {
  servers: number;
  edgesUp: number;
  etcd: { voters: number; answering: number; quorum: boolean };
  /** etcd's alarms, as in NOSPACE: it takes no changes. */
  alarms: readonly string[];
  /** Members with a puppetserver, and those of them with one that is up. */
  compiling: { all: number; up: number };
}

export interface Tolerance {
  failures: number;
  /** Why it isn't as many as with everything up; empty when it is. */
  because: string;
}

export function judgeTolerance(parts: Parts): Tolerance {
  const { servers, edgesUp, etcd, alarms, compiling } = parts;
  const { voters, answering, quorum } = etcd;
  const whole = toleratedFailures(voters);
  const changes = (spare: number, because: string) => ({ spare, because });
  const limits = [
    changes(
      Math.min(whole, answering - quorumOf(voters)),
      `${answering} of ${voters} etcd members answer`,
    ),
    changes(edgesUp - 1, `${edgesUp} of ${servers} edges are up`),
    changes(compiling.up - 1, `${compiling.up} of ${compiling.all} puppetservers are up`),
  ];
  if (alarms.length > 0) limits.unshift(changes(0, `etcd takes no changes: ${alarms.join(", ")}`));
  if (!quorum) limits.unshift(changes(0, "etcd has no quorum"));
  const most = Math.max(0, Math.min(whole, servers - 1, Math.max(compiling.all, 1) - 1));
  const failures = Math.max(0, Math.min(...limits.map(({ spare }) => spare)));
  const why = limits.find(({ spare }) => spare < most && Math.max(0, spare) === failures);
  return { failures, because: why?.because ?? "" };
}
