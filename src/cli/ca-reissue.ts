// understudy ca reissue: servers' own Puppet certificates signed anew, with names that agents may
// call them by from now on.

import { type Command, InvalidArgumentError } from "commander";
import { until } from "../base/retry.ts";
import { isFault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { AltName } from "../cluster/schema.ts";
import { ClusterStatus } from "../cluster/status.ts";
import { ServerNames } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { createOutput, EXIT } from "./output.ts";

/** Signing may wait for an election. */
const SIGN_MS = 60_000;
/** Each server signs its own within seconds of hearing of the names. */
const EVERYWHERE_MS = 60_000;
const LOOK_EVERY_MS = 1000;

export function addCaReissue(ca: Command): void {
  ca.command("reissue")
    .description("sign servers' own certificates anew, with further names")
    .option("--alt-name <name...>", "names or addresses that agents may call every server by", read)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy ca reissue --alt-name puppet2.example.com\n\nWith names: every server's, and it returns when all edges show them. Without: this server's." +
        "\nKeys stay, no connection breaks, and former certificates stay valid." +
        "\n\nExit code: 0 done, 1 refused or failed, 3 a server doesn't show the names yet (it will by itself).",
    )
    .action(async ({ altName = [], json }: { altName?: string[]; json?: boolean }) => {
      const output = createOutput(json === true);
      const { altNames } = await callDaemon("POST", "/v1/server-certificate/reissue", {
        body: { altNames: altName },
        answer: ServerNames,
        withinMs: SIGN_MS,
      });
      if (altName.length > 0) output.progress("Signed here; waiting for every edge to show it.");
      const shown = await untilShown(altName, async () =>
        callDaemon("GET", "/v1/status", { answer: ClusterStatus }),
      );
      output.result({ altNames, servers: shown }, renderShown(altNames, shown));
      if (altName.length > 0 && !isShown(shown)) process.exitCode = EXIT.unconfirmed;
    });
}

function read(name: string, before: string[] = []): string[] {
  const parsed = AltName.safeParse(name.toLowerCase());
  if (parsed.success) return [...before, parsed.data];
  throw new InvalidArgumentError(`"${name}" is neither a name nor an IP address.`);
}

/** What a server's edge lacks of the names, and why that isn't known. */
export interface Shown {
  server: string;
  endsAt: string;
  lacks: string[];
  because: string;
}

/**
 * What the servers' edges show once all show the names, or when that takes too long: by then they
 * are in the record, so a status that doesn't come is no failure. None: it never came.
 */
export async function untilShown(
  names: readonly string[],
  ask: () => Promise<ClusterStatus>,
  withinMs = EVERYWHERE_MS,
): Promise<Shown[]> {
  let shown: Shown[] = [];
  const look = async () => {
    const status = await ask().catch(() => undefined);
    if (status !== undefined) shown = judgeShown(status, names);
    return names.length === 0 || isShown(shown);
  };
  try {
    await until("every edge shows the names", look, { withinMs, everyMs: LOOK_EVERY_MS });
  } catch (error) {
    if (!isFault(error, "base.deadline")) throw error;
  }
  return shown;
}

function isShown(shown: readonly Shown[]): boolean {
  return shown.length > 0 && shown.every(({ lacks }) => lacks.length === 0);
}

/** Which of `names` each server's edge doesn't show yet; of a silent one all. */
export function judgeShown({ members }: ClusterStatus, names: readonly string[]): Shown[] {
  return members.flatMap(({ member, local, because }) => {
    if (member.role !== "server") return [];
    const certificate = local?.edge?.certificate;
    const lacks = names.filter((name) => certificate?.names.includes(name) !== true);
    return [{ server: member.id, endsAt: certificate?.endsAt ?? "", lacks, because }];
  });
}

export function renderShown(altNames: readonly string[], shown: readonly Shown[]): string {
  const rows = shown.map(({ server, endsAt, lacks, because }) => {
    const state = lacks.length === 0 ? "shows all" : `lacks ${lacks.join(", ")}`;
    return [server, endsAt || "unknown", because === "" ? state : because];
  });
  const head = `Names: ${altNames.join(", ")}`;
  if (rows.length === 0) {
    return `${head}\n\nSigned here; what the edges show can't be told now: understudy status`;
  }
  return `${head}\n\n${renderTable(["SERVER", "CERTIFICATE ENDS", "STATE"], rows)}`;
}
