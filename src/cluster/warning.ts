// A warning of the status as programs read it: what kind it is, how bad, of what. Pure. Its text is
// for people and may change; kinds stay: alerts, hooks and scripts go by them.

import { z } from "zod";

export const SEVERITIES = ["warning", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];

/**
 * `critical`: it fails runs, loses something, or will if one more thing fails. docs/alerts.md says
 * of each kind what to do.
 */
export const WARNING_KINDS = {
  "address-nobody": "critical",
  "address-twice": "critical",
  "agents-failed": "warning",
  "alerts-channel": "warning",
  "ca-directory-behind": "warning",
  "ca-ejection-open": "critical",
  "ca-not-serving": "critical",
  "ca-stock-silent": "critical",
  "ca-troubled": "warning",
  "ca-two": "critical",
  "ca-unknown-files": "warning",
  "ca-unreadable": "warning",
  "capacity-short": "warning",
  "catalog-poisonous": "critical",
  "clock-off": "warning",
  "clock-wrong": "critical",
  "courier-down": "critical",
  "courier-single-copies": "warning",
  "disk-nearly-full": "warning",
  "drain-forgotten": "warning",
  "drain-keeps-address": "warning",
  "edge-behind": "critical",
  "edge-down": "critical",
  "etcd-alarm": "critical",
  "etcd-full": "warning",
  "etcd-no-quorum": "critical",
  "etcd-troubled": "warning",
  "etcd-vote-missing": "critical",
  "etcd-voters": "warning",
  "expiry-near": "warning",
  "expiry-overdue": "critical",
  "hooks-refused": "warning",
  "member-leaving": "warning",
  "member-setup": "warning",
  "member-silent": "critical",
  "member-troubled": "warning",
  "pause-forgotten": "warning",
  "probe-fails": "critical",
  "puppetdb-dead-letters": "warning",
  "puppetdb-not-level": "warning",
  "puppetdb-unfit": "warning",
  "puppetserver-down": "critical",
  "puppetserver-seen-down": "warning",
  "puppetserver-unfit": "warning",
  "receiver-behind": "warning",
  "receiver-dead-letters": "warning",
  "record-unreachable": "critical",
  "roll-halted": "warning",
} as const satisfies Record<string, Severity>;

export type WarningKind = keyof typeof WARNING_KINDS;

export const Warning = z.object({
  /** One of WARNING_KINDS; a newer version may know further ones. */
  kind: z.string().max(60),
  severity: z.enum(SEVERITIES).catch("warning"),
  /** What it is of, where there may be several: a member, an address, a node. */
  subject: z.string().optional(),
  text: z.string(),
});
export type Warning = z.infer<typeof Warning>;

export function warning(kind: WarningKind, subject: string | undefined, text: string): Warning {
  const severity = WARNING_KINDS[kind];
  return { kind, severity, ...(subject === undefined ? {} : { subject }), text };
}

/** What people read. */
export function textsOf(warnings: readonly Warning[]): string[] {
  return warnings.map(({ text }) => text);
}
