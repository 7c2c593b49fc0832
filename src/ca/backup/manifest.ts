// What a backup says of itself: the first line of an archive.

import { z } from "zod";
import { Settings } from "../../cluster/schema.ts";

const Count = z.int().min(0);

export const Manifest = z.object({
  format: z.literal(1),
  /** The version of Understudy that made it. */
  madeBy: z.string().max(100),
  /** When the record was read. */
  at: z.iso.datetime(),
  cluster: z.object({ id: z.uuid(), generation: z.int().min(1) }),
  /** The member that made it. */
  member: z.string().max(253),
  /** Where it was read from: etcd, or that member's own copy. */
  source: z.enum(["etcd", "copy"]),
  /** The record's revision that it shows. */
  revision: Count,
  /** What a new `init` should be told to be the same for agents. */
  settings: Settings.pick({
    sharedName: true,
    otherNames: true,
    virtualIps: true,
    acceptProxyFrom: true,
    isolatedEdge: true,
  }),
  issuer: z.object({
    subject: z.string().max(4096),
    /** SHA-256, as Puppet prints it. */
    fingerprint: z.string().max(200),
    notAfter: z.iso.datetime(),
  }),
  /** The lowest serial that nobody had reserved. */
  serialNext: Count,
  crlNumber: Count,
  /** Lines of the inventory: every certificate there ever was. */
  certificates: Count,
  /** Files in signed/ and requests/, entries of the CRL. */
  signed: Count,
  requests: Count,
  revoked: Count,
  /** Whether the root CA's key was there, too. */
  rootKey: z.boolean(),
});
export type Manifest = z.infer<typeof Manifest>;
