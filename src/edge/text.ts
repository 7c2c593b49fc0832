// Small pieces that every section of HAProxy's configuration is made of.

import type { EdgeConfig } from "./config.ts";

/** A section: its title, and its lines indented; lines that are false are left out. */
export function section(title: string, lines: readonly (string | false)[]): string {
  return [title, ...lines.filter((line) => line !== false).map((line) => `    ${line}`)].join("\n");
}

/** `address` and `port` as HAProxy reads them. */
export function endpoint({ address, port }: { address: string; port: number }): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whom a socket belongs to, with a blank before; nothing when workers run as their starter. */
export function ownedBy({ runAs }: Pick<EdgeConfig, "runAs">): string {
  return runAs === undefined ? "" : ` user ${runAs.user} group ${runAs.group}`;
}

/**
 * Frontends log, backends don't: what those log are changes of state, which are on stderr anyway.
 */
export const LOGGED = "log global";
