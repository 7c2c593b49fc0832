// What an error of etcd means for a request, pure. The idea: an error either says that nothing was
// done, or that nothing will ever be done with this content, or it says nothing at all. Danger: an
// error that isn't known to mean "not done" must count as "perhaps done".

import { Fault } from "../base/fault.ts";

/**
 * `not-done`: this member did nothing, another one or a later try may.
 * `unknown`: it may have been done, or may yet be.
 * `refused`: etcd understood and said no; every member would.
 */
export type Verdict =
  | { means: "not-done" }
  | { means: "unknown" }
  | { means: "refused"; fault: Fault };

/** Messages with which etcd gives up before anything reaches its log. */
const NOT_DONE = [
  "etcdserver: no leader",
  "etcdserver: not capable",
  "etcdserver: rpc not supported for learner",
  "etcdserver: too many requests",
  "etcdserver: unhealthy cluster",
  "etcdserver: not leader",
  "raft proposal dropped",
];

/** gRPC codes that say no because of what was asked, not because of how the cluster is. */
const REFUSALS = new Set([
  3, // invalid argument
  5, // not found
  6, // already exists
  7, // permission denied
  8, // resource exhausted
  9, // failed precondition
  11, // out of range
  12, // unimplemented
  15, // data loss
  16, // unauthenticated
]);

/** Judges the gRPC `code` and message of an error of etcd 3.4. */
export function judgeError(code: number, message: string): Verdict {
  if (NOT_DONE.some((text) => message.includes(text))) return { means: "not-done" };
  if (!REFUSALS.has(code)) return { means: "unknown" };
  if (message.includes("database space exceeded")) {
    return { means: "refused", fault: noSpace() };
  }
  if (message.includes("has been compacted")) {
    const fault = new Fault("etcd.compacted", "that part of history has been compacted: read anew");
    return { means: "refused", fault };
  }
  return { means: "refused", fault: new Fault("etcd.refused", `etcd refuses: ${message}`) };
}

/** Whether the message is a learner's, which says nothing about the cluster's health. */
export function isLearnerRefusal(message: string): boolean {
  return message.includes("rpc not supported for learner");
}

function noSpace(): Fault {
  return new Fault("etcd.no-space", "etcd's database has reached its quota and refuses writes", {
    hints: ["Agents are still served. When every voter answers: understudy member compact"],
  });
}

/** Whether a failure's code is one of TLS rather than of the network. */
export function isTlsCode(code: string): boolean {
  return (
    code.startsWith("ERR_SSL") ||
    code.startsWith("ERR_TLS") ||
    code.includes("CERT") ||
    code.startsWith("UNABLE_TO_") ||
    code === "EPROTO"
  );
}

/** Whether `code` is a peer's TLS alert about our certificate, or about there being none. */
export function isCertificateAlert(code: string): boolean {
  return /^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code);
}
