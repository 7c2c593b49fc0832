// What the history tells of. Apart from the entries' shape, so that a browser gets it without that.

/** The kinds that this version tells. */
export const KINDS = {
  address: "a virtual address came or went",
  ca: "where the certificate authority is, whether it signs",
  certificate: "certificates that the cluster renewed for itself",
  clock: "a clock that is wrong",
  command: "what somebody typed, and what it took",
  crl: "a CRL without a new revocation",
  daemon: "daemons that start and stop",
  drill: "failures on purpose, and what was measured",
  edge: "HAProxy up and down",
  etcd: "votes, leaders and alarms of etcd",
  hook: "what hooks came to",
  leader: "who runs the cluster's chores",
  member: "who joins, leaves, is silent",
  puppetdb: "PuppetDBs and where queries go",
  puppetserver: "puppetservers as edges see them",
  record: "members that can't reach the record",
  revocation: "certificates revoked, one entry for each burst",
  setting: "settings of the cluster",
  version: "another version of Understudy",
  work: "planned work: drains, pauses, restarts one after another",
} as const;
export type Kind = keyof typeof KINDS;
