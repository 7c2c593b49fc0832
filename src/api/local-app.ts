// The API behind the daemon's root-only socket: what the commands of this server ask. A site map;
// what the routes do is done elsewhere.

import { Hono } from "hono";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { ReportReceiver } from "../cluster/schema.ts";
import type { ClusterStatus, LocalStatus } from "../cluster/status.ts";
import type { PuppetdbDiff } from "../cluster/sync-status.ts";
import {
  AddBackend,
  type BackendList,
  type CaCertificate,
  type CaCrls,
  type CaList,
  CaNames,
  type CaOutcome,
  CaPem,
  CaQuery,
  type CaShown,
  type CaVerified,
  CreateToken,
  type CreatedToken,
  type EjectPlan,
  EjectWish,
  type EndedAnswer,
  FailoverAsk,
  type FailoverDone,
  type FailoverPlan,
  type HandedOverAnswer,
  type PuppetdbMark,
  PuppetdbUse,
  PuppetdbWish,
  type RemovalDone,
  type RemovalPlan,
  ServerNames,
  SwitchoverAsk,
  type SwitchoverDone,
  type SwitchoverPlan,
  type SwitchoverProgress,
  type SyncAsked,
  type TokenList,
  type VotersAnswer,
} from "../setup/contract.ts";
import { checked, readBody } from "./body.ts";
import { answerFault } from "./serve.ts";

/** What the routes need; the daemon gives it. */
export interface LocalDeps {
  log: Log;
  local(): Promise<LocalStatus>;
  cluster(): Promise<ClusterStatus>;
  createToken(wish: z.infer<typeof CreateToken>): Promise<CreatedToken>;
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
  finish(): Promise<void>;
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
  backends: BackendCommands;
  eject: EjectCommands;
  puppetdb: PuppetdbCommands;
  switchover: SwitchoverCommands;
  failover: FailoverCommands;
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

const ServerRequest = z.object({ request: z.string().max(64 * 1024) });
const MemberId = z.object({ id: z.string().max(253) });
const VoterCount = z.object({ voters: z.union([z.literal(1), z.literal(3), z.literal(5)]) });

export function createLocalApp(deps: LocalDeps): Hono {
  const app = new Hono();
  const done = { done: true as const };
  app.onError((error) => answerFault(error, deps.log));

  app.get("/v1/local", async (c) => c.json(await deps.local()));
  app.get("/v1/status", async (c) => c.json(await deps.cluster()));

  app.get("/v1/tokens", async (c) => c.json(await deps.listTokens()));
  app.post("/v1/tokens", async (c) =>
    c.json(await deps.createToken(await readBody(CreateToken, c.req))),
  );
  app.delete("/v1/tokens/:id", async (c) => {
    await deps.revokeToken(c.req.param("id"));
    return c.json(done);
  });

  app.get("/v1/ca", async (c) => {
    return c.json(authority(deps).list(checked(CaQuery, c.req.query())));
  });
  app.get("/v1/ca/show/:what", (c) => c.json(authority(deps).show(c.req.param("what"))));
  app.get("/v1/ca/crl", (c) => c.json(authority(deps).crls()));
  app.get("/v1/ca/verify", async (c) => c.json(await authority(deps).verify()));
  app.post("/v1/ca/crl/refresh", async (c) => c.json(await authority(deps).refreshCrl()));
  app.post("/v1/ca/crl/import", async (c) => {
    return c.json(await authority(deps).importCrls((await readBody(CaPem, c.req)).pem));
  });
  app.post("/v1/ca/generate", async (c) => {
    return c.json(await authority(deps).generate((await readBody(CaPem, c.req)).pem));
  });
  app.post("/v1/ca/sign", async (c) => {
    const { names, all } = await readBody(CaNames, c.req);
    return c.json(await authority(deps).sign(names, all));
  });
  app.post("/v1/ca/revoke", async (c) => {
    const { names, serials } = await readBody(CaNames, c.req);
    return c.json(await authority(deps).revoke(names, serials));
  });
  app.post("/v1/ca/clean", async (c) => {
    return c.json(await authority(deps).clean((await readBody(CaNames, c.req)).names));
  });

  app.post("/v1/server-certificate", async (c) => {
    const { request } = await readBody(ServerRequest, c.req);
    return c.json(await deps.signOwnCertificate(request));
  });
  app.post("/v1/server-certificate/reissue", async (c) => {
    return c.json(await deps.reissue((await readBody(ServerNames, c.req)).altNames));
  });
  app.post("/v1/finish", async (c) => {
    await deps.finish();
    return c.json(done);
  });

  app.post("/v1/members/removal-plan", async (c) => {
    return c.json(await deps.planRemoval((await readBody(MemberId, c.req)).id));
  });
  app.post("/v1/members/remove", async (c) => {
    return c.json(await deps.remove((await readBody(MemberId, c.req)).id));
  });
  app.post("/v1/leave/plan", async (c) => c.json(await deps.planLeave()));
  app.post("/v1/leave/start", async (c) => {
    await deps.startLeaving();
    return c.json(done);
  });
  app.post("/v1/leave", async (c) => c.json(await deps.leave()));
  app.get("/v1/backends", async (c) => c.json(await deps.backends.list()));
  app.post("/v1/backends", async (c) => {
    return c.json(await deps.backends.add(await readBody(AddBackend, c.req)));
  });
  app.delete("/v1/backends/:name", async (c) => {
    return c.json(await deps.backends.remove(c.req.param("name")));
  });
  app.post("/v1/eject/plan", async (c) => {
    return c.json(await deps.eject.plan((await readBody(EjectWish, c.req)).alone));
  });
  app.post("/v1/eject", async (c) => {
    return c.json(await deps.eject.end((await readBody(EjectWish, c.req)).alone));
  });
  app.post("/v1/eject/hand-over", async (c) => {
    return c.json(await deps.eject.handOver((await readBody(EjectWish, c.req)).alone));
  });
  app.post("/v1/switchover/plan", async (c) => {
    return c.json(await deps.switchover.plan(await readBody(SwitchoverAsk, c.req)));
  });
  app.post("/v1/switchover", async (c) => {
    return c.json(await deps.switchover.run(await readBody(SwitchoverAsk, c.req)));
  });
  app.post("/v1/failover/plan", async (c) => {
    return c.json(await deps.failover.plan(await readBody(FailoverAsk, c.req)));
  });
  app.post("/v1/failover", async (c) => {
    return c.json(await deps.failover.run(await readBody(FailoverAsk, c.req)));
  });
  app.get("/v1/switchover", (c) => c.json(deps.switchover.progress()));
  app.post("/v1/switchover/stop", (c) => {
    deps.switchover.stop();
    return c.json(done);
  });
  app.post("/v1/puppetdb", async (c) => {
    return c.json(await deps.puppetdb.set(await readBody(PuppetdbWish, c.req)));
  });
  app.post("/v1/puppetdb/accept", async (c) => {
    await deps.puppetdb.accept();
    return c.json(done);
  });
  app.post("/v1/puppetdb/sync", async (c) => c.json(await deps.puppetdb.sync()));
  app.get("/v1/puppetdb/diff", async (c) => c.json(await deps.puppetdb.diff()));
  app.post("/v1/report-receivers", async (c) => {
    const receiver = await readBody(ReportReceiver, c.req);
    return c.json({ receivers: await deps.puppetdb.addReceiver(receiver) });
  });
  app.delete("/v1/report-receivers/:name", async (c) => {
    return c.json({ receivers: await deps.puppetdb.removeReceiver(c.req.param("name")) });
  });
  app.post("/v1/puppetdb/use", async (c) => {
    await deps.puppetdb.use((await readBody(PuppetdbUse, c.req)).id);
    return c.json(done);
  });
  app.post("/v1/puppetserver/load", (c) => {
    deps.puppetdb.loadAnew();
    return c.json(done);
  });
  app.post("/v1/voters", async (c) => {
    return c.json(await deps.setVoters((await readBody(VoterCount, c.req)).voters));
  });
  return app;
}

function authority(deps: LocalDeps): CaCommands {
  if (deps.ca !== undefined) return deps.ca;
  throw new Fault("ca.not-here", "this member holds no certificate authority: it is no server", {
    hints: ["Run the command on a member of role server: understudy member list"],
  });
}
