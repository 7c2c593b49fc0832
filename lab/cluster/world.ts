// What a refused command may not have changed on a host: files, ports, units and addresses, as text
// to be compared before and after.

import assert from "node:assert/strict";
import type { LabHost } from "../host.ts";

/** Every file below these is compared by content, owner and mode. */
const FOLDERS = "/etc/puppet /etc/understudy /etc/systemd /var/lib/puppet/ssl /var/lib/understudy";
const REFUSAL_MS_MAX = 120_000;
/** What running programs write all the time. */
const LIVELY = ["etcd/data/*", "view.json", "history/*", "journal/log"].map(
  (path) => `/var/lib/understudy/${path}`,
);

/**
 * The host's files, listeners, units and addresses in one text; empty folders don't count. Cheap
 * enough for each refusal. `except` are paths, with wildcards, that may change.
 */
export async function worldOf(host: LabHost, except: readonly string[] = []): Promise<string> {
  const but = [...LIVELY, ...except].map((path) => `! -path '${path}'`).join(" ");
  return host.run(`
    set -o pipefail
    find ${FOLDERS} ! -type d ${but} -printf '%p %y %m %u %g %l\\n' 2>/dev/null | sort
    find ${FOLDERS} -type f ${but} -print0 2>/dev/null | sort -z | xargs -0r sha256sum
    ss -Hltn | awk '{print $4}' | sort
    systemctl list-units --all --plain --no-legend --type=service,socket 'understudy*' 'puppetserver*' |
      awk '{print $1, $2, $3, $4}' | sort
    systemctl list-unit-files --no-legend 'understudy*' 'puppetserver*'
    ip -br addr`);
}

export interface RefusedOptions {
  env?: Record<string, string>;
  /** Paths, with wildcards, that may change. */
  except?: readonly string[];
}

/**
 * Tries `command`: it must fail with exit code 1 and `code` (or one below it), say all of `texts`,
 * and `host` must be as before.
 */
export async function refused(
  host: LabHost,
  command: string | readonly string[],
  code: string,
  texts: readonly RegExp[],
  { env = {}, except = [] }: RefusedOptions = {},
): Promise<void> {
  const world = await worldOf(host, except);
  const done = await host.exec(command, { withinMs: REFUSAL_MS_MAX, env });
  assert.equal(done.code, 1, `${done.stdout}${done.stderr}`);
  assert.match(done.stderr, new RegExp(`^error ${code.replaceAll(".", "\\.")}[.\\w-]*: `, "m"));
  for (const text of texts) assert.match(done.stderr, text);
  const [before, after] = [world, await worldOf(host, except)].map((text) => text.split("\n"));
  const changed = [
    ...(before ?? []).filter((line) => after?.includes(line) !== true).map((line) => `- ${line}`),
    ...(after ?? []).filter((line) => before?.includes(line) !== true).map((line) => `+ ${line}`),
  ];
  assert.deepEqual(changed, []);
}

/**
 * Tries `command` as `refused` does, on a host that changes meanwhile by itself, since the cluster
 * does: only what is said is judged.
 */
export async function fails(
  host: LabHost,
  command: string,
  code: string,
  texts: readonly RegExp[],
): Promise<void> {
  const done = await host.exec(command, { withinMs: REFUSAL_MS_MAX });
  assert.equal(done.code, 1, `${done.stdout}${done.stderr}`);
  assert.match(done.stderr, new RegExp(`^error ${code.replaceAll(".", "\\.")}[.\\w-]*: `, "m"));
  for (const text of texts) assert.match(done.stderr, text);
}
