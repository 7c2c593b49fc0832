// What a channel may be, checked where it enters. Pure. What is secret of it goes its own way.

import { isIP } from "node:net";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { AlertChannel, Certname, CHANNELS_MAX } from "../cluster/schema.ts";
import { SEVERITIES, WARNING_KINDS } from "../cluster/warning.ts";
import { Secret } from "./secrets.ts";

export const CHANNEL_TYPES = ["mail", "json", "slack", "teams"] as const;

/** The port of each kind of security, where none is set. */
export const SMTP_PORTS = { starttls: 587, tls: 465, none: 25 } as const;

/** One mail address, alone: no list, no name, nothing that could begin a header. */
const MailAddress = z
  .string()
  .max(320)
  .regex(/^[^\s@<>,;:"()[\]\\]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/, {
    error: "not a mail address, as in ops@example.com",
  });

const Host = z.union([z.string().refine((text) => isIP(text) !== 0), Certname], {
  error: "not a host name or address",
});

/** A channel as it is typed, with its secret. */
export const ChannelWish = AlertChannel.extend({
  type: z.enum(CHANNEL_TYPES),
  minSeverity: z.enum(SEVERITIES).default("warning"),
  host: Host.optional(),
  security: z.enum(["starttls", "tls", "none"]).optional(),
  from: MailAddress.optional(),
  to: z.array(MailAddress).max(16).optional(),
  password: Secret.optional(),
  url: Secret.optional(),
});
export type ChannelWish = z.infer<typeof ChannelWish>;

/** The channel and its secret. Throws Fault `alerts.channel` with the rule that is broken. */
export function makeChannel(wish: ChannelWish): {
  channel: AlertChannel;
  secret: string | undefined;
} {
  const { password, url, ...channel } = wish;
  for (const kind of [...(channel.kinds ?? []), ...(channel.except ?? [])]) requireKind(kind);
  if (wish.type === "mail") {
    requireMail(wish);
    return { channel, secret: password };
  }
  const { name, type, minSeverity, kinds, except } = channel;
  requireUrl(url);
  const choice = { ...(kinds && { kinds }), ...(except && { except }) };
  return { channel: { name, type, minSeverity, ...choice }, secret: url };
}

function requireMail({ host, from, to, user, password, security }: ChannelWish): void {
  if (host === undefined) throw refused("a mail server is needed: --server HOST");
  if (from === undefined || to === undefined || to.length === 0) {
    throw refused("a sender and at least one receiver are needed: --from, --to");
  }
  if (user !== undefined && /[\p{Cc}]/u.test(user))
    throw refused("the user has control characters");
  if (password !== undefined && user === undefined) {
    throw refused("a password needs its user: --user");
  }
  if (user !== undefined && security === "none") {
    throw refused("a password may only go through TLS: --security starttls or tls");
  }
}

function requireUrl(url: string | undefined): void {
  const to = url === undefined ? null : URL.parse(url);
  if (to === null) throw refused("a webhook needs its URL");
  if (to.protocol === "https:") return;
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(to.hostname);
  if (to.protocol === "http:" && isLocal) return;
  throw refused("a webhook's URL is a secret: https, or http on this server itself");
}

/** Throws Fault `alerts.channel` for what is no kind of warning, and not how some begin. */
function requireKind(kind: string): void {
  const all = Object.keys(WARNING_KINDS);
  if (all.some((each) => each === kind || each.startsWith(`${kind}-`))) return;
  throw refused(`there is no kind of warning "${kind.slice(0, 60)}"`);
}

function refused(why: string): Fault {
  return new Fault("alerts.channel", why, {
    hints: ["Kinds, and how each channel is set: /usr/share/doc/understudy/alerts.md"],
  });
}

/** One of the same name is replaced. Throws Fault `alerts.channel` where there are too many. */
export function withChannel(all: readonly AlertChannel[], channel: AlertChannel): AlertChannel[] {
  const rest = all.filter(({ name }) => name !== channel.name);
  if (rest.length >= CHANNELS_MAX) throw refused(`there may be ${CHANNELS_MAX} channels`);
  return [...rest, channel].toSorted((a, b) => a.name.localeCompare(b.name));
}

/** Throws Fault `alerts.unknown`. */
export function requireChannel(all: readonly AlertChannel[], name: string): AlertChannel {
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new Fault("alerts.unknown", `there is no channel ${name.slice(0, 60)}`, {
    hints: [`Known: ${all.map((one) => one.name).join(", ") || "none"}`],
  });
}
