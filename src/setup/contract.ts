// The shapes that the daemon's local API and the commands share.

import { z } from "zod";
import { AccessName, AccessRole } from "../cluster/access.ts";
import {
  ALT_NAMES_MAX,
  AltName,
  ApiSettings,
  Backend,
  Certname,
  IpAddress,
  Member,
  Role,
  ReportReceiver,
} from "../cluster/schema.ts";

export const Done = z.object({ done: z.literal(true) });

export const CreateToken = z.object({
  role: Role,
  /** How long it can be used, milliseconds. */
  validMs: z
    .int()
    .min(60_000)
    .max(30 * 86_400_000),
});

export type CreateToken = z.infer<typeof CreateToken>;

export const CreatedToken = z.object({
  id: z.string(),
  role: Role,
  token: z.string(),
  url: z.string(),
  /** Servers that keep a durable copy of the token. */
  copies: z.int(),
});
export type CreatedToken = z.infer<typeof CreatedToken>;

export const TokenList = z.object({
  tokens: z.array(
    z.object({
      id: z.string(),
      role: Role,
      state: z.enum(["unused", "expired", "burned", "in use", "used"]),
      member: z.string().optional(),
      leftMs: z.number(),
      createdBy: z.string(),
    }),
  ),
});

/** A puppetserver that is to be added to this member. */
export const AddBackend = Backend.pick({ name: true, address: true, port: true });
export type AddBackend = z.infer<typeof AddBackend>;

export const BackendList = z.object({ backends: z.array(Backend.extend({ address: IpAddress })) });
export type BackendList = z.infer<typeof BackendList>;

/** What this server is to run for PuppetDB. */
export const PuppetdbWish = z.object({
  courier: z.boolean(),
  /** Whether it has a PuppetDB of its own. */
  puppetdb: z.boolean(),
  /** Whether that has the same database as every other one; absent: as it was said before. */
  shared: z.boolean().optional(),
  /** Certnames that may use PuppetDB besides the members'. */
  clients: z.array(Certname).max(1000).default([]),
  /** How long a node may be silent for its own PuppetDB, seconds; 0: for ever. */
  nodeTtlS: z.int().min(0).optional(),
});
export type PuppetdbWish = z.infer<typeof PuppetdbWish>;

/** Where couriers send reports besides. */
export const ReceiverList = z.object({ receivers: z.array(ReportReceiver) });
export const PuppetdbUse = z.object({ id: Certname });

/** The round of the sync that a command has asked for. */
export const SyncAsked = z.object({ id: z.string() });
export type SyncAsked = z.infer<typeof SyncAsked>;

export const PuppetdbMark = z.object({ puppetdb: Member.shape.puppetdb });
export type PuppetdbMark = z.infer<typeof PuppetdbMark>;

/** How a change of the CA came out, beyond the record. */
export const CaOutcome = z.object({
  /** What happened to each name: done, or why not. */
  results: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean(),
      because: z.string(),
      serial: z.string().optional(),
    }),
  ),
  /** Servers that keep a durable copy of the change. */
  copies: z.int(),
  /** Which; with three voters and more a majority of these. */
  of: z.array(z.string()).default([]),
  /** For revocations: which edges refuse the certificates now, and which couldn't confirm. */
  edges: z
    .object({
      confirmed: z.array(z.string()),
      missing: z.array(z.object({ member: z.string(), because: z.string() })),
    })
    .optional(),
});
export type CaOutcome = z.infer<typeof CaOutcome>;

const CertState = z.enum(["requested", "signed", "revoked"]);

/** Which requests and certificates are listed; what is left out doesn't matter. */
export const CaQuery = z.object({
  state: CertState.optional(),
  /** As a shell matches names: `*` and `?`. */
  pattern: z.string().max(255).optional(),
  /** Only certificates that end within so many seconds. */
  endsWithinS: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).optional(),
});
export type CaQuery = z.infer<typeof CaQuery>;

export const CaList = z.object({
  /** How many there are, also beyond the limit. */
  total: z.int(),
  entries: z.array(
    z.object({
      name: z.string(),
      state: CertState,
      serial: z.string().optional(),
      notAfter: z.string().optional(),
      fingerprint: z.string(),
      altNames: z.array(z.string()),
      extensions: z.record(z.string(), z.string()),
    }),
  ),
});
export type CaList = z.infer<typeof CaList>;

/** All that there is of a name, or of a serial; certificates newest first. */
export const CaShown = z.object({
  certificates: z.array(
    z.object({
      serial: z.string(),
      certname: z.string(),
      state: z.enum(["signed", "replaced", "revoked", "expired"]),
      notBefore: z.string(),
      notAfter: z.string(),
      signedBy: z.string(),
      signedAt: z.string(),
      revokedAt: z.string().optional(),
      crlNumber: z.int().optional(),
      issuer: z.string().optional(),
      key: z.string().optional(),
      altNames: z.array(z.string()),
      authorizationExtensions: z.record(z.string(), z.string()),
      fingerprint: z.string(),
      pem: z.string().optional(),
    }),
  ),
  request: z
    .object({
      name: z.string(),
      subject_alt_names: z.array(z.string()),
      authorization_extensions: z.record(z.string(), z.string()),
      fingerprint: z.string(),
    })
    .optional(),
});
export type CaShown = z.infer<typeof CaShown>;

/** The CRLs that agents get: ours first, then those of the CAs above. */
export const CaCrls = z.object({
  crls: z.array(
    z.object({
      issuer: z.string(),
      number: z.string(),
      thisUpdate: z.string(),
      nextUpdate: z.string(),
      entries: z.int(),
    }),
  ),
  /** Whether this command has had a new one signed. */
  signed: z.boolean().default(false),
});
export type CaCrls = z.infer<typeof CaCrls>;

/** What was checked of the authority, and what isn't as it must be. */
export const CaVerified = z.object({
  certificates: z.int(),
  names: z.int(),
  requests: z.int(),
  revocations: z.int(),
  crlNumber: z.int(),
  /** Whether etcd was read for it; else this server's memory was checked. */
  fresh: z.boolean(),
  findings: z.array(z.object({ what: z.string(), because: z.string() })),
  /** How many there are; not all may be listed. */
  found: z.int(),
});
export type CaVerified = z.infer<typeof CaVerified>;

/** What a server's Puppet certificate is for, or is to be for besides. */
export const ServerNames = z.object({ altNames: z.array(AltName).max(ALT_NAMES_MAX) });
export type ServerNames = z.infer<typeof ServerNames>;

/** A certificate that was signed for a command, and the servers that have it on disk. */
export const CaCertificate = z.object({
  certname: z.string(),
  pem: z.string(),
  copies: z.int(),
  of: z.array(z.string()),
});
export type CaCertificate = z.infer<typeof CaCertificate>;

export const CaPem = z.object({ pem: z.string().max(1024 * 1024) });

export const CaNames = z.object({
  /** Serials to revoke, hexadecimal. */
  serials: z.array(z.string().max(64)).max(10_000).default([]),
  names: z.array(z.string().max(255)).max(10_000),
  all: z.boolean().default(false),
});

/** What removing a member will cost and take; asked before it is done. */
export const RemovalPlan = z.object({
  id: z.string(),
  lines: z.array(z.string()),
  /** Why it is refused; empty when it isn't. */
  refused: z.string(),
});

export const RemovalDone = z.object({
  id: z.string(),
  lines: z.array(z.string()),
  /** Members that may still let the removed one's certificates in. */
  unconfirmed: z.array(z.string()),
  /** Servers that keep a durable copy of the removal. */
  copies: z.int(),
});

/** What is so once the wanted number of voters was set. */
export const VotersAnswer = z.object({
  voters: z.int(),
  voting: z.int(),
  /** Why they aren't the same; empty when they are. */
  because: z.string(),
});
export type VotersAnswer = z.infer<typeof VotersAnswer>;

/** What each voter's database came to. */
export const RoomAnswer = z.object({
  voters: z.array(z.object({ id: z.string(), beforeBytes: z.number(), afterBytes: z.number() })),
});
export type RoomAnswer = z.infer<typeof RoomAnswer>;

/** Whether the other servers are left out of it, which can't be asked. */
export const EjectWish = z.object({ alone: z.boolean().default(false) });

/** What ejecting the CA to this server means; asked before it is done. */
export const EjectPlan = z.object({
  id: z.string(),
  /**
   * `ours`: the cluster signs. `ended`: nobody does, here it goes on. `handed-over`: the CA
   * directory here is stock's. `elsewhere`: it was ejected to another server.
   */
  state: z.enum(["ours", "ended", "handed-over", "elsewhere"]),
  to: z.string().optional(),
  lines: z.array(z.string()),
  /** Why it is refused; empty when it isn't. */
  refused: z.string(),
});
export type EjectPlan = z.infer<typeof EjectPlan>;

export const EndedAnswer = z.object({
  to: z.string(),
  at: z.string(),
  /** Whether it had ended before this call. */
  before: z.boolean(),
  /** Servers that keep a durable copy of it. */
  copies: z.int(),
});
export type EndedAnswer = z.infer<typeof EndedAnswer>;

export const HandedOverAnswer = z.object({
  at: z.string(),
  alone: z.boolean(),
  /** The first serial that is stock's to give. */
  serialNext: z.int(),
  crlNumber: z.int(),
});
export type HandedOverAnswer = z.infer<typeof HandedOverAnswer>;

/** A token for the API on the network. */
export const AccessWish = z.object({
  name: AccessName,
  role: AccessRole,
  /** How long it is good, milliseconds. */
  validMs: z
    .int()
    .min(60_000)
    .max(730 * 86_400_000),
});
export type AccessWish = z.infer<typeof AccessWish>;

export const AccessMade = z.object({
  name: AccessName,
  role: AccessRole,
  expiresAt: z.string(),
  /** Told this once. */
  token: z.string(),
  /** Servers that keep a durable copy of it. */
  copies: z.int(),
});
export type AccessMade = z.infer<typeof AccessMade>;

export const AccessTokens = z.object({
  tokens: z.array(
    z.object({
      name: z.string(),
      role: z.string(),
      createdAt: z.string(),
      createdBy: z.string(),
      expiresAt: z.string(),
      expired: z.boolean(),
      /** When a member that answers last let it in, to the hour; absent: none knows. */
      usedAt: z.string().optional(),
    }),
  ),
});
export type AccessTokens = z.infer<typeof AccessTokens>;

export const AccessRevoked = z.object({
  name: z.string(),
  /** Members that refuse it now. */
  confirmed: z.array(z.string()),
  /** Members that may still let it in. */
  missing: z.array(z.object({ member: z.string(), because: z.string() })),
});
export type AccessRevoked = z.infer<typeof AccessRevoked>;

/** How the API is to be on the network; what isn't given is as by default. */
export const ApiWish = ApiSettings;
export type ApiWish = z.infer<typeof ApiWish>;

/** The API on the network as it is set, and as it is on every member. */
export const ApiShown = z.object({
  settings: ApiSettings.optional(),
  members: z.array(
    z.object({
      member: z.string(),
      /** Where it listens; empty: it doesn't. */
      url: z.string(),
      /** Why it doesn't, or doesn't as it is set. */
      because: z.string(),
    }),
  ),
});
export type ApiShown = z.infer<typeof ApiShown>;
