// Sends what an outbox has. Each channel goes its own way: one that hangs holds up nobody. Danger:
// a message is claimed before it is sent and struck out after, and both may fail; then the claim
// runs out, and it is sent again. Who has sent it and couldn't say so remembers that, and says it
// before it sends anything else.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Attempt, claimed, dueMessages, settled } from "./outbox.ts";
import type { Message } from "./state.ts";
import type { Sent } from "./send-mail.ts";
import type { AlertStore } from "./store.ts";

export interface Sender {
  /** Begins to send what is due; doesn't wait for it. Throws what reading the outbox throws. */
  tick(): Promise<void>;
  /** Waits for what is being sent. */
  idle(): Promise<void>;
}

export function createSender(options: {
  store: AlertStore;
  self: string;
  send: (message: Message) => Promise<Sent>;
  /** Something was sent or failed: there may be more. */
  onDone: () => void;
  wallMs: () => number;
  log: Log;
}): Sender {
  const { store, self, send, wallMs, log } = options;
  const busy = new Map<string, Promise<void>>();
  /** By message: what came of it, as long as that isn't kept. */
  const unsettled = new Map<string, Attempt>();
  const settle = async (attempt: Attempt) => {
    unsettled.set(attempt.id, attempt);
    await store.change((state) => settled(state, attempt, wallMs()));
    unsettled.delete(attempt.id);
  };
  const attempt = async (message: Message) => {
    const sent = await send(message);
    const { id, channel } = message;
    const { ok, because } = sent;
    if (!ok) log.warn(`an alert wasn't taken by ${channel}`, { because, message: id });
    await settle({ id, channel, ...sent });
  };
  const begin = (message: Message) => {
    const { channel } = message;
    const run = attempt(message)
      .catch((error: unknown) => {
        log.warn(`what came of an alert for ${channel} can't be kept`, { why: messageOf(error) });
      })
      .finally(() => {
        busy.delete(channel);
        options.onDone();
      });
    busy.set(channel, run);
  };
  return {
    async tick() {
      for (const attempt of unsettled.values()) {
        if (!busy.has(attempt.channel)) await settle(attempt);
      }
      const isDue = ({ channel }: Message) => !busy.has(channel);
      const due = dueMessages(await store.read(), self, wallMs()).filter(isDue);
      if (due.length === 0) return;
      const ids = new Set(due.map(({ id }) => id));
      const { outbox } = await store.change((state) => claimed(state, ids, self, wallMs()));
      for (const message of outbox) {
        if (ids.has(message.id) && message.claim?.by === self && isDue(message)) begin(message);
      }
    },
    idle: async () => void (await Promise.all(busy.values())),
  };
}
