// What joiner and cluster say to each other (decision 12). Two calls: `start` with the token, which
// answers with certificates; `keys`, as the member that one then is, which answers with the CA's
// material.

import { z } from "zod";
import { Sealed } from "../cluster/seal.ts";
import { Backend, Certname, IpAddress, Member, Meta, Role, Settings } from "../cluster/schema.ts";

export const JOIN_START_PATH = "/v1/join/start";
export const JOIN_KEYS_PATH = "/v1/join/keys";

const Pem = z.string().max(16 * 1024);

export const JoinStart = z.object({
  token: z.object({ id: z.string().max(64), secret: z.string().max(128) }),
  role: Role,
  member: z.object({
    id: Certname,
    address: IpAddress,
    version: z.string().max(64),
    backends: z.array(Backend).max(16),
  }),
  /** Certificate requests by leaf name; the joiner's keys never leave it. */
  requests: z.record(z.string().max(32), Pem),
  /** The request for its Puppet certificate; a witness has none. */
  puppetRequest: Pem.optional(),
  /** The joiner's clock, milliseconds since the epoch. */
  wallMs: z.number(),
});
export type JoinStart = z.infer<typeof JoinStart>;

export const JoinAnswer = z.object({
  meta: Meta,
  settings: Settings,
  members: z.array(Member),
  etcdEndpoints: z.array(z.url()).min(1),
  /** By leaf name. */
  certificates: z.record(z.string(), z.string()),
  /** CA certificate and CRL of each of our CAs that the role needs, by name. */
  authorities: z.record(z.string(), z.object({ certificate: z.string(), crl: z.string() })),
  puppet: z.object({ certificate: z.string(), bundle: z.string(), crl: z.string() }).optional(),
});
export type JoinAnswer = z.infer<typeof JoinAnswer>;

export const JoinKeysAnswer = z.object({ sealed: Sealed });

/** What is sealed for a new server: the keys that make it able to sign. */
export const JoinKeys = z.object({
  /** Private keys of our own CAs, by name, PKCS#8 PEM, and their certificates. */
  authorities: z.record(z.string(), z.object({ key: z.string(), certificate: z.string() })),
  /** The Puppet CA's private key, as ca_key.pem has it. */
  puppetKey: z.string(),
});
export type JoinKeys = z.infer<typeof JoinKeys>;
