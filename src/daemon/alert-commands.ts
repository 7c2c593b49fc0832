// What `understudy alerts …` asks of this member's daemon. A channel's settings and its secret are
// two keys of the record: the secret comes first, so that no channel is without.

import { randomUUID } from "node:crypto";
import { makeChannel, requireChannel, withChannel } from "../alerts/channel.ts";
import { emptyMessage, standingOf } from "../alerts/outbox.ts";
import { changeSecret, readKeptSecrets, readSecrets } from "../alerts/secrets.ts";
import { createSend } from "../alerts/send.ts";
import { type AlertState, NO_ALERTS } from "../alerts/state.ts";
import { recordStore } from "../alerts/store.ts";
import type { AlertCommands } from "../api/alert-commands.ts";
import { messageOf } from "../base/fault.ts";
import { updateSettings } from "../cluster/record.ts";
import type { AlertChannel, Settings } from "../cluster/schema.ts";
import { readSettings } from "../cluster/settings/former.ts";
import type { Etcd } from "../etcd/types.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import type { AlertsShown, AlertTested } from "../setup/alerts-contract.ts";

export interface AlertCommandsHost {
  id: string;
  etcd: Etcd;
  /** The settings as they were read last; undefined: never. */
  settings: () => Settings | undefined;
  /** Where this server keeps the secrets that it read last. */
  secretsFile: string;
  /** PEM of CAs that are trusted besides the system's. */
  ca: () => Promise<string[]>;
  /** The record has changed: look now. */
  wake(): void;
}

export function alertCommands(host: AlertCommandsHost): AlertCommands {
  const { etcd } = host;
  const change = async (by: (all: readonly AlertChannel[]) => AlertChannel[]) => {
    await updateSettings(etcd, (settings) => {
      const { alertChannels: before = [], ...rest } = settings;
      const after = by(before);
      return after.length === 0 ? rest : { ...rest, alertChannels: after };
    });
    host.wake();
  };
  const show = async () => readShown(host);
  return {
    show,
    async add(wish) {
      const { channel, secret } = makeChannel(wish);
      // Refused before anything is kept.
      withChannel((await readSettings(etcd)).value.alertChannels ?? [], channel);
      await changeSecret(etcd, channel.name, secret);
      await change((before) => withChannel(before, channel));
      return show();
    },
    async remove(name) {
      try {
        await change((before) => {
          requireChannel(before, name);
          return before.filter((one) => one.name !== name);
        });
      } finally {
        // Also what a removal that was cut short has left.
        await changeSecret(etcd, name, undefined);
      }
      return show();
    },
    test: async ({ channel }) => test(host, channel),
    async failedRuns({ everyS }) {
      await updateSettings(etcd, (settings) => {
        const { failedRunsEveryS: _, ...rest } = settings;
        return everyS === undefined ? rest : { ...rest, failedRunsEveryS: everyS };
      });
      host.wake();
      return show();
    },
  };
}

async function test(host: AlertCommandsHost, channel: string | undefined): Promise<AlertTested> {
  const { value: settings } = await readSettings(host.etcd);
  const all = settings.alertChannels ?? [];
  const wanted = channel === undefined ? all : [requireChannel(all, channel)];
  const { channels: secrets } = await readSecrets(host.etcd);
  const send = createSend({
    self: host.id,
    cluster: () => settings.sharedName,
    channels: () => all,
    secret: (name) => secrets[name],
    ca: host.ca,
  });
  const text = `a test of this channel, sent by ${host.id}`;
  const results = wanted.map(async ({ name }) => {
    const sentMs = monotonicMs();
    const atMs = wallMs();
    const change = { change: "test", kind: "test", severity: "warning" as const, sinceMs: atMs };
    const message = { ...emptyMessage(name, randomUUID(), atMs), changes: [{ ...change, text }] };
    const { ok, because } = await send(message);
    return { channel: name, ok, because, tookMs: Math.round(monotonicMs() - sentMs) };
  });
  return { results: await Promise.all(results) };
}

/** What the record says; without it, the channels that this member knows. */
async function readShown({ etcd, settings, secretsFile }: AlertCommandsHost): Promise<AlertsShown> {
  try {
    const { value } = await readSettings(etcd);
    const secrets = Object.keys((await readSecrets(etcd)).channels);
    return shown(value, await recordStore(etcd).read(), { secrets, because: "" });
  } catch (error) {
    const known = settings();
    if (known === undefined) throw error;
    const secrets = Object.keys((await readKeptSecrets(secretsFile)).channels);
    return shown(known, NO_ALERTS, { secrets, because: messageOf(error) });
  }
}

function shown(
  { alertChannels = [], failedRunsEveryS }: Settings,
  state: AlertState,
  { secrets, because }: { secrets: readonly string[]; because: string },
): AlertsShown {
  const channels = alertChannels.map((channel) => {
    const { name } = channel;
    const { failures, because, dropped, sentMs } = standingOf(state, name);
    const waiting = state.outbox.filter((message) => message.channel === name).length;
    const sentAt = sentMs === undefined ? {} : { sentAt: isoTime(sentMs) };
    const hasSecret = secrets.includes(name);
    return { ...channel, hasSecret, waiting, failures, because, dropped, ...sentAt };
  });
  const raised = state.known.filter((alert) => alert.state === "raised");
  const alerts = raised.map(({ kind, subject, severity, text, sinceMs, flapping }) => {
    const of = { kind, severity, text, since: isoTime(sinceMs), flapping };
    return subject === undefined ? of : { ...of, subject };
  });
  return {
    channels,
    alerts,
    ...(failedRunsEveryS === undefined ? {} : { failedRunsEveryS }),
    because,
  };
}
