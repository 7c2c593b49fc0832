// The API behind the daemon's root-only socket, which the commands of this server ask: all routes.
// Here is also what the routes need of the daemon.

import { Hono } from "hono";
import type { z } from "zod";
import type { Log } from "../base/log.ts";
import type { Incident } from "../cluster/history/incident.ts";
import type { ReportReceiver } from "../cluster/schema.ts";
import type { ClusterStatus, LocalStatus } from "../cluster/status.ts";
import type { PuppetdbDiff } from "../cluster/sync-status.ts";
import type {
  FailoverAsk,
  FailoverDone,
  FailoverPlan,
  SwitchoverAsk,
  SwitchoverDone,
  SwitchoverPlan,
  SwitchoverProgress,
} from "../setup/address-contract.ts";
import type { Explanation } from "../cluster/why/explain.ts";
import { ACTOR_HEADER, actorFrom } from "../setup/actor.ts";
import type {
  ConfigChange,
  ConfigChanged,
  ConfigFormer,
  ConfigShown,
} from "../setup/config-contract.ts";
import type {
  AccessMade,
  AccessRevoked,
  AccessTokens,
  AccessWish,
  AddBackend,
  ApiShown,
  ApiWish,
  BackendList,
  CaCertificate,
  CaCrls,
  CaList,
  CaOutcome,
  CaQuery,
  CaShown,
  CaVerified,
  CreatedToken,
  CreateToken,
  EjectPlan,
  EndedAnswer,
  HandedOverAnswer,
  PuppetdbMark,
  PuppetdbWish,
  RemovalDone,
  RemovalPlan,
  ServerNames,
  SyncAsked,
  TokenList,
  RoomAnswer,
  VotersAnswer,
} from "../setup/contract.ts";
import type {
  FinishWish,
  HistoryAnswer,
  HistoryWish,
  IncidentWish,
} from "../setup/history-contract.ts";
import type { AlertCommands, HookCommands } from "./alert-commands.ts";
import { type Audit, audited } from "./audit.ts";
import type { DrillCommands } from "./drill-commands.ts";
import type { Events } from "./events.ts";
import { serveRoute } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { answerFault } from "./serve.ts";
import type { WorkCommands } from "./work-commands.ts";

/** What the routes need; the daemon gives it. */
export interface LocalDeps {
  log: Log;
  local(): Promise<LocalStatus>;
  cluster(): Promise<ClusterStatus>;
  createToken(wish: CreateToken): Promise<CreatedToken>;
  listTokens(): Promise<z.infer<typeof TokenList>>;
  revokeToken(id: string): Promise<void>;
  /** Signs this member's own Puppet certificate. */
  signOwnCertificate(
    requestPem: string,
  ): Promise<{ certificate: string; bundle: string; crl: string }>;
  /**
   * Adds names to those that agents may call every server by, and signs this server's certificate
   * anew. Returns all that it is for.
   */
  reissue(altNames: string[]): Promise<ServerNames>;
  /** Setup has gone through: this member is a full one. */
  finish(wish: FinishWish): Promise<void>;
  ca: CaCommands | undefined;
  planRemoval(id: string): Promise<z.infer<typeof RemovalPlan>>;
  remove(id: string): Promise<z.infer<typeof RemovalDone>>;
  /** What leaving will cost this member; asked before it is done. */
  planLeave(): Promise<z.infer<typeof RemovalPlan>>;
  /** Marks this member as on its way out: agents go elsewhere. */
  startLeaving(): Promise<void>;
  /** Has another server take this member out. */
  leave(): Promise<z.infer<typeof RemovalDone>>;
  setVoters(count: 1 | 3 | 5): Promise<VotersAnswer>;
  /** Has etcd's database give back what it no longer needs. */
  makeRoom(): Promise<RoomAnswer>;
  backends: BackendCommands;
  eject: EjectCommands;
  puppetdb: PuppetdbCommands;
  switchover: SwitchoverCommands;
  failover: FailoverCommands;
  work: WorkCommands;
  drills: DrillCommands;
  access: AccessCommands;
  config: ConfigCommands;
  alerts: AlertCommands;
  hooks: HookCommands;
  history(wish: HistoryWish): Promise<HistoryAnswer>;
  why(about: string): Promise<Explanation>;
  incident(wish: IncidentWish): Promise<Incident>;
  events: Events;
}

/** The cluster's settings. */
export interface ConfigCommands {
  show(): Promise<ConfigShown>;
  former(): Promise<ConfigFormer>;
  formerAt(revision: number): Promise<ConfigShown>;
  /** What a change would be; asked before it is done. */
  plan(wish: ConfigChange): Promise<ConfigChanged>;
  change(wish: ConfigChange): Promise<ConfigChanged>;
}

/** Virtual addresses taken from servers that can't be asked to let go. */
export interface FailoverCommands {
  plan(ask: FailoverAsk): Promise<FailoverPlan>;
  run(ask: FailoverAsk): Promise<FailoverDone>;
}

/** Moves of virtual addresses on purpose. */
export interface SwitchoverCommands {
  /** What it will mean; asked before it is done. */
  plan(ask: SwitchoverAsk): Promise<SwitchoverPlan>;
  run(ask: SwitchoverAsk): Promise<SwitchoverDone>;
  progress(): z.infer<typeof SwitchoverProgress>;
  /** Ends the one that runs, if nothing has moved yet. */
  stop(): void;
}

/** The API on the network, and who may use it. */
export interface AccessCommands {
  list(): Promise<AccessTokens>;
  create(wish: AccessWish): Promise<AccessMade>;
  revoke(name: string): Promise<AccessRevoked>;
  /** What is set, and what became of it on every member. */
  show(): Promise<ApiShown>;
  listen(wish: ApiWish): Promise<ApiShown>;
  off(): Promise<ApiShown>;
}

/** The end of the cluster's CA in favour of this server's stock Puppet Server, step by step. */
export interface EjectCommands {
  /** What it will mean; asked before it is done. */
  plan(alone: boolean): Promise<EjectPlan>;
  /** No server signs any more. */
  end(alone: boolean): Promise<EndedAnswer>;
  /** The CA directory here is stock's. */
  handOver(alone: boolean): Promise<HandedOverAnswer>;
}

/** What this server runs for PuppetDB. */
export interface PuppetdbCommands {
  set(wish: PuppetdbWish): Promise<PuppetdbMark>;
  /** This server's PuppetDB may answer queries. */
  accept(): Promise<void>;
  /** Has it compared with the others now, and brought what it lacks. */
  sync(): Promise<SyncAsked>;
  /** What differs between all that answer. */
  diff(): Promise<PuppetdbDiff>;
  /** Where reports go besides; compared by name. */
  addReceiver(receiver: ReportReceiver): Promise<ReportReceiver[]>;
  removeReceiver(name: string): Promise<ReportReceiver[]>;
  /** Queries go to the PuppetDB of `id`, when it is fit. */
  use(id: string): Promise<void>;
  /** puppetserver's files have changed: it is to load them soon, in its turn. */
  loadAnew(): void;
}

/** This member's own puppetservers; each answers with the list as it is then. */
export interface BackendCommands {
  list(): Promise<BackendList>;
  add(wish: AddBackend): Promise<BackendList>;
  remove(name: string): Promise<BackendList>;
}

/** The certificate authority as the commands use it. */
export interface CaCommands {
  list(query: CaQuery): z.infer<typeof CaList>;
  show(what: string): CaShown;
  crls(): CaCrls;
  /** Signs a new CRL whatever the newest one's age. */
  refreshCrl(): Promise<CaCrls>;
  /** Signs the request of a command at once. */
  generate(request: string): Promise<CaCertificate>;
  /** Takes newer CRLs of the CAs above in: PEM. */
  importCrls(pem: string): Promise<CaCrls>;
  /** Checks the record and this server's CA directory. */
  verify(): Promise<CaVerified>;
  sign(names: string[], all: boolean): Promise<CaOutcome>;
  revoke(names: string[], serials: string[]): Promise<CaOutcome>;
  clean(names: string[]): Promise<CaOutcome>;
}

export function createLocalApp(deps: LocalDeps, audit: Audit): Hono {
  const app = new Hono();
  app.onError((error) => answerFault(error, deps.log));
  for (const route of ROUTES) {
    serveRoute(app, route, {
      deps,
      network: false,
      async around(c, call) {
        // Commands run as root: everything is theirs, whoever became it.
        const who = actorFrom(c.req.header(ACTOR_HEADER));
        return audited(audit, { who, role: "root", from: "socket" }, route, async (about) =>
          call({ who, stays: () => true }, about),
        );
      },
    });
  }
  return app;
}
