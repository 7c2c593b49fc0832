// Passwords and URLs of channels (`understudy/alerts/secrets`): apart from the settings, which
// people read. Each server keeps what it read last, so that it can say that the record is gone.

import { z } from "zod";
import type { Etcd } from "../etcd/types.ts";
import { ALERT_SECRETS_KEY } from "../cluster/keys.ts";
import { parseKept, update } from "../cluster/record.ts";
import { readIfThere, writeIfChanged } from "../host/files.ts";

const SECRET_MAX = 2048;
export const Secret = z.string().min(1).max(SECRET_MAX);

/** By channel. */
export const AlertSecrets = z.object({ channels: z.record(z.string(), Secret) });
export type AlertSecrets = z.infer<typeof AlertSecrets>;
const NONE: AlertSecrets = { channels: {} };

/** Keeps the secret of `name`, or forgets it. */
export async function changeSecret(
  etcd: Etcd,
  name: string,
  secret: string | undefined,
): Promise<void> {
  await update(etcd, ALERT_SECRETS_KEY, AlertSecrets, (before = NONE) => {
    const kept = Object.entries(before.channels).filter(([each]) => each !== name);
    const own: [string, string][] = secret === undefined ? [] : [[name, secret]];
    return { channels: Object.fromEntries([...kept, ...own]) };
  });
}

export async function readSecrets(etcd: Etcd, signal?: AbortSignal): Promise<AlertSecrets> {
  const kv = await etcd.get(ALERT_SECRETS_KEY, signal === undefined ? {} : { signal });
  return kv === undefined ? NONE : parseKept(AlertSecrets, kv).value;
}

/** What this server read last; none where its file can't be read. */
export async function readKeptSecrets(file: string): Promise<AlertSecrets> {
  try {
    return AlertSecrets.parse(JSON.parse((await readIfThere(file)) ?? "{}"));
  } catch {
    return NONE;
  }
}

export async function keepSecrets(file: string, secrets: AlertSecrets): Promise<void> {
  await writeIfChanged(file, `${JSON.stringify(secrets)}\n`, { mode: 0o600 });
}
