// What a refused command may not have changed on a host: files, ports, units and addresses, as text
// to be compared before and after.

import assert from "node:assert/strict";
import { until } from "../../src/base/retry.ts";
import type { LabHost } from "../host.ts";

/** Every file below these is compared by content, owner and mode. */
const FOLDERS = "/etc/puppet /etc/understudy /etc/systemd /var/lib/puppet/ssl /var/lib/understudy";
const REFUSAL_MS_MAX = 120_000;
const SETTLED_MS_MAX = 120_000;
const STILL_MS = 1000;
/** What running programs write all the time, and files that are about to replace others. */
const LIVELY = [
  ...["etcd/data/*", "view.json", "history/*", "journal/log"].map(
    (path) => `/var/lib/understudy/${path}`,
  ),
  "*/.*.tmp",
];

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

/** How each host was when a refusal was over: as long as it is so, nothing is under way there. */
const settled = new Map<string, string>();

/** The world once it doesn't change by itself: daemons act for some seconds after a setup. */
async function settledWorld(host: LabHost, except: readonly string[]): Promise<string> {
  let last = settled.get(host.name);
  return until(
    `${host.name} has settled`,
    async () => {
      const now = await worldOf(host, except);
      const isStill = now === last;
      last = now;
      return isStill ? now : undefined;
    },
    { withinMs: SETTLED_MS_MAX, everyMs: STILL_MS },
  );
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
  const world = await settledWorld(host, except);
  const done = await host.exec(command, { withinMs: REFUSAL_MS_MAX, env });
  assert.equal(done.code, 1, `${done.stdout}${done.stderr}`);
  assert.match(done.stderr, new RegExp(`^error ${code.replaceAll(".", "\\.")}[.\\w-]*: `, "m"));
  for (const text of texts) assert.match(done.stderr, text);
  const now = await worldOf(host, except);
  settled.set(host.name, now);
  const [before, after] = [world, now].map((text) => text.split("\n"));
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
