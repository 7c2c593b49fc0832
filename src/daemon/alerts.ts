// Alerts as the daemon tells them: the member that leads judges what status warns of and keeps in
// the record what is told, then sends it. While nobody can write there one server says just that.
// Nothing waits for it, and whoever can't be told stays so: mail that fails is a warning itself.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Alone, decideAlone, NOT_ALONE } from "../alerts/alone.ts";
import { digestMessages, planDigest } from "../alerts/failed-runs.ts";
import { judgeAlerts, NOTHING_SEEN } from "../alerts/judge.ts";
import { channelWarnings, enqueue, messagesOf } from "../alerts/outbox.ts";
import { type AlertSecrets, keepSecrets, readKeptSecrets, readSecrets } from "../alerts/secrets.ts";
import { createSend } from "../alerts/send.ts";
import { createSender } from "../alerts/sender.ts";
import {
  alertKey,
  type AlertChange,
  type AlertState,
  type KnownAlert,
  NO_ALERTS,
} from "../alerts/state.ts";
import { fileStore, recordStore } from "../alerts/store.ts";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { FailedRuns } from "../cluster/failed-runs.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { ClusterStatus, LocalStatus } from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import type { Warning } from "../cluster/warning.ts";
import { isOut } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";

const JUDGE_TICK_MS = 10_000;
const SEND_TICK_MS = 10_000;
/** How often couriers are asked for failed runs. */
const RUNS_EVERY_MS = 60_000;
const ALARMS_MS = 2000;
/** With one of them no alert can be written down. */
const UNWRITABLE: ReadonlySet<string> = new Set(["etcd-no-quorum", "etcd-alarm"]);

export interface AlertsHost {
  node: Pick<NodeFile, "id" | "role">;
  etcd: Etcd;
  keeper: Pick<ViewKeeper, "current" | "record">;
  /** The Puppet CA's certificate: what is inside the site may show one of it. */
  localcacert: string;
  /** Keeps what is secret of the channels here. */
  secretsFile: string;
  /** Keeps here what this server tells while nobody can write the record. */
  ownFile: string;
  status(): Promise<ClusterStatus>;
  /** Whether this member runs the cluster's chores. */
  leads(): boolean;
  /** What the courier of a member has; undefined where it can't be asked. */
  failedRuns(id: string): Promise<FailedRuns | undefined>;
  wallMs: () => number;
  monotonicMs: () => number;
  log: Log;
  signal: AbortSignal;
}

export interface Alerts {
  /** Looks at what there is to tell. */
  judge(): Promise<void>;
  /** Begins to send what is due. */
  send(): Promise<void>;
  /** Waits for what is being sent. */
  idle(): Promise<void>;
  /** What the cluster's channels are to be looked at for; on the member that leads. */
  problems(): Warning[];
  /** What other members hear of it. */
  status(): LocalStatus["alerts"];
  /** Something was sent or failed: there may be more. */
  onSent(listener: () => void): void;
}

/** The loops that keep alerts told. */
export function startAlertLoops(alerts: Alerts, { log, signal }: AlertsHost): Loop[] {
  const common = { log, signal };
  const sending = startLoop({
    ...common,
    name: "alerts to channels",
    everyMs: SEND_TICK_MS,
    body: async () => alerts.send(),
  });
  const judging = startLoop({
    ...common,
    name: "alerts",
    everyMs: JUDGE_TICK_MS,
    body: async () => {
      await alerts.judge();
      sending.wake();
    },
  });
  alerts.onSent(() => sending.wake());
  return [judging, sending];
}

export async function createAlerts(host: AlertsHost): Promise<Alerts> {
  const { node, etcd, keeper, log, signal, wallMs, monotonicMs } = host;
  const store = recordStore(etcd);
  const own = await fileStore(host.ownFile, log);
  const [told] = (await own.read()).known;
  const newId = () => randomUUID();
  let secrets: AlertSecrets = await readKeptSecrets(host.secretsFile);
  let watch = NOTHING_SEEN;
  let last: AlertState = NO_ALERTS;
  let alone: Alone = { ...NOT_ALONE, told: told !== undefined };
  /** Why the record couldn't be written when that was seen last. */
  let unwritable: Warning | undefined = told;
  let onSent = () => {};
  let runsAskedMs = Number.NEGATIVE_INFINITY;
  const reachable = () => keeper.record().reachable;
  const channels = () => keeper.current()?.settings.alertChannels ?? [];
  const send = createSend({
    self: node.id,
    cluster: () => keeper.current()?.settings.sharedName ?? node.id,
    channels,
    secret: (name) => secrets.channels[name],
    ca: async () => [await readFile(host.localcacert, "utf8")].filter((pem) => pem !== ""),
  });
  const common = { self: node.id, send, wallMs, log, onDone: () => onSent() };
  const sender = createSender({ ...common, store });
  const ownSender = createSender({ ...common, store: own });

  const judge = async () => {
    const status = await host.status();
    const silent = silentIn(status);
    const planned = plannedIn(status, wallMs());
    let changes: AlertChange[] = [];
    let after = watch;
    last = await store.change((state) => {
      const warnings = withChannels(status.problems, state);
      const look = { warnings, silent, planned, nowMs: wallMs(), atMs: monotonicMs() };
      const judged = judgeAlerts(state, watch, look);
      ({ changes, watch: after } = judged);
      const messages = messagesOf(changes, channels(), { atMs: wallMs(), newId });
      return enqueue({ ...state, known: judged.known }, messages, channels());
    });
    watch = after;
    for (const change of changes) logChange(log, change);
  };
  const digest = async () => {
    const everyS = keeper.current()?.settings.failedRunsEveryS;
    if (everyS === undefined || monotonicMs() - runsAskedMs < RUNS_EVERY_MS) return;
    runsAskedMs = monotonicMs();
    const couriers = await askCouriers(host);
    await store.change((state) => {
      const how = { everyMs: everyS * 1000, nowMs: wallMs() };
      const plan = planDigest(state.failedRuns, couriers, how);
      if (plan === undefined) return state;
      const messages = digestMessages(plan.digest, channels(), { atMs: wallMs(), newId });
      return enqueue({ ...state, failedRuns: plan.told }, messages, channels());
    });
  };
  /** Whether the record answers, and takes changes; etcd answers reads while it has an alarm. */
  const isWritable = async () =>
    reachable() && (await etcd.alarms({ signal, withinMs: ALARMS_MS })).length === 0;
  /** What a server says of a record that nobody can write. */
  const sayAlone = async () => {
    // While it can be written, that is all there is to know.
    const status = (await isWritable().catch(() => false)) ? undefined : await host.status();
    const because = status?.problems.find(({ kind }) => UNWRITABLE.has(kind));
    if (because !== undefined) unwritable = because;
    const sight = {
      self: node.id,
      writable: because === undefined,
      answering: status === undefined ? [{ id: node.id, told: false }] : answeringIn(status),
      atMs: monotonicMs(),
    };
    const { now, tell } = decideAlone(alone, sight);
    alone = now;
    if (tell === undefined || unwritable === undefined) return;
    const change = aloneChange(tell, unwritable, wallMs());
    logChange(log, change);
    const messages = messagesOf([change], channels(), { atMs: wallMs(), newId });
    const known = tell === "lost" ? [toldNow(unwritable, wallMs())] : [];
    await own.change((state) => enqueue({ ...state, known }, messages, channels()));
  };
  return {
    async judge() {
      await sayAlone();
      if (!reachable()) return;
      secrets = await readSecrets(etcd, signal);
      try {
        if (host.leads()) {
          await judge();
          await digest();
        } else {
          // Whoever leads next has to see for itself how long something has been so.
          watch = NOTHING_SEEN;
          last = NO_ALERTS;
        }
      } finally {
        // Last: a full disk here keeps nothing from being told.
        await keepSecrets(host.secretsFile, secrets);
      }
    },
    async send() {
      await ownSender.tick();
      if (reachable() && host.leads()) await sender.tick();
    },
    idle: async () => void (await Promise.all([sender.idle(), ownSender.idle()])),
    problems: () => channelWarnings(last),
    status: () => ({ toldNoQuorum: alone.told }),
    onSent: (listener) => (onSent = listener),
  };
}

/** The status's warnings, of channels as the record has them now. */
function withChannels(problems: readonly Warning[], state: AlertState): Warning[] {
  return [...problems.filter(({ kind }) => kind !== "alerts-channel"), ...channelWarnings(state)];
}

function silentIn({ members }: ClusterStatus): Set<string> {
  return new Set(members.flatMap(({ member, local }) => (local === undefined ? [member.id] : [])));
}

function plannedIn({ members, work }: ClusterStatus, nowMs: number): Set<string> {
  return new Set(members.map(({ member }) => member.id).filter((id) => isOut(work, id, nowMs)));
}

function answeringIn({ members }: ClusterStatus): { id: string; told: boolean }[] {
  return members.flatMap(({ member, local }) =>
    member.role !== "server" || local === undefined
      ? []
      : [{ id: member.id, told: local.alerts?.toldNoQuorum === true }],
  );
}

function toldNow({ kind, subject, severity, text }: Warning, atMs: number): KnownAlert {
  const times = { sinceMs: atMs, toldMs: atMs, raises: [] };
  return { kind, subject, severity, text, state: "raised", flapping: false, ...times };
}

function aloneChange(
  tell: "lost" | "back",
  { kind, subject, severity, text: because }: Warning,
  sinceMs: number,
): AlertChange {
  const change = { kind, subject, severity, text: because, change: "raised", sinceMs };
  if (tell === "lost") return change;
  const isQuorum = kind === "etcd-no-quorum";
  const text = isQuorum ? "etcd has its quorum again." : "etcd takes changes again.";
  return { ...change, change: "resolved", text };
}

/** Every member that has a courier is asked; one that doesn't answer tells another time. */
async function askCouriers(host: AlertsHost): Promise<Map<string, FailedRuns>> {
  const members = (host.keeper.current()?.members ?? []).filter(({ courier }) => courier === true);
  const answers = await Promise.all(
    members.map(async ({ id }) => {
      const runs = await host.failedRuns(id).catch((error: unknown) => {
        host.log.info(`the courier of ${id} can't be asked for failed runs`, {
          why: messageOf(error),
        });
        return undefined;
      });
      return [id, runs] as const;
    }),
  );
  return new Map(answers.flatMap(([id, runs]) => (runs === undefined ? [] : [[id, runs]])));
}

function logChange(log: Log, change: AlertChange): void {
  const { kind, severity, text, subject = "" } = change;
  const event = change.change === "resolved" ? "alert-resolved" : "alert-raised";
  const fields = { event, alert: alertKey(change), kind, severity, subject };
  if (event === "alert-resolved") log.notice(`resolved: ${text}`, fields);
  else log.warn(`${severity}: ${text}`, fields);
}
