// One message to the channel that it is for, whatever that speaks.

import type { AlertChannel } from "../cluster/schema.ts";
import { renderMail, renderWebhook } from "./render.ts";
import { type Sent, sendMail } from "./send-mail.ts";
import { sendWebhook } from "./send-webhook.ts";
import type { Message } from "./state.ts";

/** What one attempt may take; a claim holds longer. */
const SEND_MS = 30_000;

export type Send = (message: Message) => Promise<Sent>;

export function createSend(host: {
  self: string;
  /** The cluster's shared name. */
  cluster(): string;
  channels(): readonly AlertChannel[];
  secret(name: string): string | undefined;
  /** PEM of CAs that are trusted besides the system's. */
  ca(): Promise<string[]>;
}): Send {
  return async (message) => {
    const channel = host.channels().find(({ name }) => name === message.channel);
    if (channel === undefined) return { ok: false, because: "there is no such channel" };
    const { name, type } = channel;
    const secret = host.secret(name);
    const ca = await host.ca().catch(() => []);
    const cluster = host.cluster();
    if (type === "mail") {
      if (channel.user !== undefined && secret === undefined) return noSecret("password");
      const how = { password: secret, ca, name: host.self, withinMs: SEND_MS };
      return sendMail(channel, renderMail(message, cluster), how);
    }
    if (secret === undefined) return noSecret("URL");
    return sendWebhook(secret, renderWebhook(type, message, cluster), { ca, withinMs: SEND_MS });
  };
}

function noSecret(what: string): Sent {
  return { ok: false, because: `its ${what} isn't known: set the channel anew` };
}
