// What servers of the lab said: the tail of their journals for an error's text, all of them for a
// folder. Danger: a host that is off has no running journal; its messages are in its own journal
// after a boot.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, messageOf } from "../../src/base/fault.ts";
import type { LabHost } from "../host.ts";

const UNITS = [
  "understudy",
  "understudy-edge",
  "understudy-etcd",
  "understudy-vip",
  "understudy-files",
  "understudy-courier",
  "puppetserver",
];
const TAIL_LINES = 12;
const READ_MS_MAX = 20_000;

/** The same failure, with the last lines of each unit's journal on `hosts` as its hints. */
export async function explainFailure(error: unknown, hosts: readonly LabHost[]): Promise<Fault> {
  const code = error instanceof Fault ? error.code : "lab.cluster";
  const hints = error instanceof Fault ? [...error.hints] : [];
  for (const host of hosts) hints.push(...(await tails(host)));
  return new Fault(code, messageOf(error), { hints, cause: error });
}

async function tails(host: LabHost): Promise<string[]> {
  const lines: string[] = [];
  for (const unit of UNITS) {
    const text = await read(host, `journalctl -u ${unit} -n ${TAIL_LINES} --no-pager -o short`);
    const said = text.trim();
    if (said === "" || said === "-- No entries --") continue;
    lines.push(`--- ${host.name}: ${unit}`, ...said.split("\n"));
  }
  return lines;
}

/**
 * Writes the whole journals of `hosts`, and what their own commands say of them, below `folder`.
 */
export async function collectLogs(hosts: readonly LabHost[], folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const wanted = {
    journal: "journalctl --no-pager -o short-precise",
    puppetserver: "cat /var/log/puppetserver/puppetserver.log",
    status: "understudy status; understudy status --json; ip addr; ss -tanp",
  };
  for (const host of hosts) {
    for (const [name, command] of Object.entries(wanted)) {
      const text = await read(host, command);
      if (text.trim() !== "") await writeFile(join(folder, `${host.name}.${name}.log`), text);
    }
  }
}

async function read(host: LabHost, command: string): Promise<string> {
  try {
    const { stdout, stderr } = await host.exec(command, { withinMs: READ_MS_MAX });
    return `${stdout}${stderr}`;
  } catch (error) {
    return `${messageOf(error)}\n`;
  }
}
