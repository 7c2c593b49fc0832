// The API that members call: mutual TLS on the control CA. Only join's first call comes without a
// certificate, and it carries a token. Danger: a kept-alive connection outlives a removal, so the
// caller is checked at every request, not only in the handshake.

import type { TLSSocket } from "node:tls";
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { FailedRuns } from "../cluster/failed-runs.ts";
import { LEAF_NAMES } from "../cluster/pki.ts";
import { type Evidence, EvidenceWish } from "../cluster/history/evidence.ts";
import type { UpgradeJob } from "../cluster/roll.ts";
import type { LocalStatus } from "../cluster/status.ts";
import { REVOCATION_KEY } from "../edge/identity.ts";
import { monotonicMs } from "../host/clock.ts";
import {
  JOIN_KEYS_PATH,
  JOIN_START_PATH,
  type JoinAnswer,
  JoinStart,
} from "../setup/join-protocol.ts";
import { LookWish, type UpgradeLook } from "../upgrade/look.ts";
import {
  type SwitchoverActs,
  SwitchoverOf,
  SwitchoverTake,
  SwitchoverTaken,
  SwitchoverWish,
} from "../vip/switchover/acts.ts";
import { DrillAct, type DrillActs } from "../drill/acts.ts";
import type { ReportStore } from "../drill/store.ts";
import { checked, readBody } from "./body.ts";
import type { OwnDrill } from "./drill-commands.ts";
import { createRateLimiter } from "./limits.ts";
import { answerFault } from "./serve.ts";

const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Of whoever has a join token, or says so: a few certificate requests. */
const JOIN_BODY_BYTES_MAX = 256 * 1024;
/** How often anybody may try to join: it costs the record a read. */
const JOINS = { burst: 20, perS: 0.5, keysMax: 1 };

/** Who calls: the member that its certificate names. */
export interface Caller {
  id: string;
  /** Its certificate's public key, SPKI DER, for sealing to it. */
  publicKey: Buffer;
}

export interface MemberDeps {
  log: Log;
  /** Serials (upper-case hex) of control certificates that are no good any more. */
  revokedSerials(): ReadonlySet<string>;
  local(): Promise<LocalStatus>;
  /** Agents' failed runs, as the courier here has seen them. */
  failedRuns(): Promise<FailedRuns>;
  /** What this member can show of what happened. */
  evidence(wish: EvidenceWish): Evidence;
  admit(start: JoinStart): Promise<JoinAnswer>;
  joinKeys(caller: Caller): Promise<unknown>;
  /**
   * Waits until this server's durable copy of the record has `revision`; false if it doesn't in
   * time.
   */
  hasCopy(revision: number): Promise<boolean>;
  /** Whether `id` is a server of the cluster: only those revoke agents' certificates. */
  isServer(id: string): boolean;
  /** Makes this server's edge refuse `keys`; which workers confirmed. */
  refuse(keys: string[]): Promise<{ confirmed: boolean; because: string }>;
  /** Takes a member out that asks for it itself. */
  remove(id: string): Promise<unknown>;
  /** Whether this member's own doors refuse these certificates of the cluster's CAs by now. */
  refuses(serials: string[]): Promise<boolean>;
  /** This server's part in a switchover of addresses; absent: it is no server. */
  switchover: SwitchoverActs | undefined;
  /** What is done to this member in a drill, and what it has of those that it drove. */
  drill: DrillActs;
  drillReports: Pick<ReportStore, "list" | "read">;
  /** The drill that it drives. */
  ownDrill: OwnDrill;
  /** What of this member's packages could be upgraded. */
  lookForUpgrades(wish: LookWish): Promise<UpgradeLook>;
  /** How far its upgrade of that roll is. */
  upgradeJob(key: string): Promise<UpgradeJob>;
  /** Begins it, if the record says that it is this member's turn; doesn't wait for it. */
  upgrade(key: string): Promise<UpgradeJob>;
  /** Signs one of the caller's own certificates anew. */
  renewLeaf(id: string, request: LeafRequest): Promise<string>;
  /** This member's puppetserver, as systemd has it. */
  puppetserverUnit(): Promise<PuppetserverUnit>;
  /** Restarts it, if the record says that it is this member's turn; doesn't wait for it. */
  restartPuppetserver(asked: Restart): Promise<PuppetserverUnit>;
}

export const PuppetserverUnit = z.object({
  /** ActiveState and Result, in systemd's words. */
  active: z.string(),
  result: z.string(),
  /** Another one at each start; empty where it was never started. */
  invocation: z.string(),
});
export type PuppetserverUnit = z.infer<typeof PuppetserverUnit>;
/** `was`: the start that it ends. */
export const Restart = z.object({ key: z.string().max(64), was: z.string().max(64) });
export type Restart = z.infer<typeof Restart>;

/** `by`: who wants it. */
export const StopDrill = z.object({ by: z.string().max(120) });
export const UpgradeOfRoll = z.object({ key: z.string().max(64) });
export const UpgradeJobAnswer = z.object({
  state: z.enum(["none", "runs", "done", "failed"]),
  because: z.string(),
});

export const HasCopy = z.object({ revision: z.int() });
export const HasCopyAnswer = z.object({ has: z.boolean() });
export const Refuses = z.object({ serials: z.array(z.string().max(64)).max(10_000) });
export const RefusesAnswer = z.object({ refuses: z.boolean() });
export const LeafRequest = z.object({ leaf: z.enum(LEAF_NAMES), request: z.string() });
export type LeafRequest = z.infer<typeof LeafRequest>;
export const LeafAnswer = z.object({ certificate: z.string() });
export const Refuse = z.object({ keys: z.array(z.string().regex(REVOCATION_KEY)).max(100_000) });
export const RefuseAnswer = z.object({ confirmed: z.boolean(), because: z.string() });

export function createMemberApp(deps: MemberDeps): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.onError((error) => answerFault(error, deps.log));
  const joins = createRateLimiter(JOINS);
  app.use(JOIN_START_PATH, bounded(JOIN_BODY_BYTES_MAX));
  app.use(async (c, next) => {
    if (c.req.path !== JOIN_START_PATH) callerOf(c.env, deps);
    await next();
  });
  app.use(bounded(BODY_BYTES_MAX));

  app.post(JOIN_START_PATH, async (c) => {
    if (!joins.take("all", monotonicMs())) {
      throw new Fault("access.too-fast", "others try to join all the time: again in a moment");
    }
    const answer = await deps.admit(await readBody(JoinStart, c.req));
    return c.json(answer);
  });
  app.post(JOIN_KEYS_PATH, async (c) =>
    c.json((await deps.joinKeys(callerOf(c.env, deps))) as object),
  );
  app.get("/v1/local", async (c) => c.json(await deps.local()));
  app.get("/v1/failed-runs", async (c) => c.json(await deps.failedRuns()));
  app.get("/v1/evidence", (c) => c.json(deps.evidence(checked(EvidenceWish, c.req.query()))));
  app.post("/v1/copies", async (c) => {
    const { revision } = await readBody(HasCopy, c.req);
    return c.json({ has: await deps.hasCopy(revision) });
  });
  app.post("/v1/edge/refuse", async (c) => {
    const { id } = callerOf(c.env, deps);
    if (!deps.isServer(id)) {
      throw new Fault("api.forbidden", `${id} is no server of this cluster: it revokes nothing`);
    }
    const { keys } = await readBody(Refuse, c.req);
    return c.json(await deps.refuse(keys));
  });
  app.post("/v1/refuses", async (c) => {
    const { serials } = await readBody(Refuses, c.req);
    return c.json({ refuses: await deps.refuses(serials) });
  });
  app.post("/v1/remove-me", async (c) => {
    return c.json((await deps.remove(callerOf(c.env, deps).id)) as object);
  });
  addSwitchover(app, deps);
  addDrill(app, deps);
  app.get("/v1/puppetserver", async (c) => c.json(await deps.puppetserverUnit()));
  app.post("/v1/puppetserver/restart", async (c) => {
    return c.json(await deps.restartPuppetserver(await readBody(Restart, c.req)));
  });
  app.post("/v1/upgrade/look", async (c) => {
    return c.json(await deps.lookForUpgrades(await readBody(LookWish, c.req)));
  });
  app.get("/v1/upgrade", async (c) => {
    return c.json(await deps.upgradeJob(checked(UpgradeOfRoll, c.req.query()).key));
  });
  app.post("/v1/upgrade", async (c) => {
    return c.json(await deps.upgrade((await readBody(UpgradeOfRoll, c.req)).key));
  });
  app.post("/v1/leaves", async (c) => {
    const wanted = await readBody(LeafRequest, c.req);
    return c.json({ certificate: await deps.renewLeaf(callerOf(c.env, deps).id, wanted) });
  });
  return app;
}

function addSwitchover(app: Hono<{ Bindings: HttpBindings }>, deps: MemberDeps): void {
  const done = { done: true as const };
  const acts = (env: HttpBindings): SwitchoverActs => {
    const { id } = callerOf(env, deps);
    if (!deps.isServer(id)) {
      throw new Fault("api.forbidden", `${id} is no server of this cluster: it moves nothing`);
    }
    if (deps.switchover !== undefined) return deps.switchover;
    throw new Fault("switchover.refused", "this member is no server: it holds no address");
  };
  app.get("/v1/switchover", async (c) => c.json(await acts(c.env).look()));
  app.post("/v1/switchover/prepare", async (c) => {
    return c.json(await acts(c.env).prepare(await readBody(SwitchoverWish, c.req)));
  });
  app.post("/v1/switchover/hand-over", async (c) => {
    const { id } = await readBody(SwitchoverOf, c.req);
    return c.json({ theirs: await acts(c.env).handOver(id) });
  });
  app.post("/v1/switchover/taken", async (c) => {
    const { id, theirs } = await readBody(SwitchoverTaken, c.req);
    return c.json(await acts(c.env).taken(id, theirs));
  });
  app.post("/v1/switchover/take", async (c) => {
    await acts(c.env).take((await readBody(SwitchoverTake, c.req)).address);
    return c.json(done);
  });
  app.post("/v1/switchover/end", async (c) => {
    await acts(c.env).end(await readBody(SwitchoverOf, c.req));
    return c.json(done);
  });
}

function addDrill(app: Hono<{ Bindings: HttpBindings }>, deps: MemberDeps): void {
  const requireServer = (env: HttpBindings) => {
    const { id } = callerOf(env, deps);
    if (deps.isServer(id)) return;
    throw new Fault("api.forbidden", `${id} is no server of this cluster: it drives no drill`);
  };
  app.get("/v1/drills", async (c) => c.json({ reports: await deps.drillReports.list() }));
  app.get("/v1/drills/:id", async (c) => {
    const report = await deps.drillReports.read(c.req.param("id"));
    return c.json(report === undefined ? {} : { report });
  });
  app.get("/v1/drill", (c) => c.json(deps.ownDrill.progress()));
  app.post("/v1/drill/stop", async (c) => {
    requireServer(c.env);
    deps.ownDrill.stop((await readBody(StopDrill, c.req)).by);
    return c.json({ done: true as const });
  });
  app.post("/v1/drill/act", async (c) => {
    requireServer(c.env);
    return c.json(await deps.drill.act(await readBody(DrillAct, c.req)));
  });
  app.post("/v1/drill/undo", async (c) => {
    requireServer(c.env);
    await deps.drill.undo(await readBody(DrillAct, c.req));
    return c.json({ done: true as const });
  });
}

function bounded(maxSize: number) {
  return bodyLimit({
    maxSize,
    onError: () => {
      throw new Fault("api.malformed", `a body may have ${maxSize} bytes at most`);
    },
  });
}

/** Said to a member that was removed, so that it stands down. */
function removed(): Fault {
  return new Fault("member.removed", "this member was removed from the cluster");
}

/** The member behind a request. Throws Fault `api.forbidden` for everybody else. */
function callerOf(env: HttpBindings, deps: MemberDeps): Caller {
  const socket = env.incoming.socket as TLSSocket;
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  if (String(socket.authorizationError) === "CERT_REVOKED") throw removed();
  if (certificate === undefined) {
    throw new Fault("api.forbidden", "this needs a member's control certificate");
  }
  if (deps.revokedSerials().has(certificate.serialNumber)) {
    throw removed();
  }
  const id = /^CN=([^\n]+)$/.exec(certificate.subject)?.[1] ?? "";
  return { id, publicKey: certificate.publicKey.export({ type: "spki", format: "der" }) };
}
