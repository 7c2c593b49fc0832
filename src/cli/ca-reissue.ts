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
      const shown = await untilShown(altName);
      output.result({ altNames, servers: shown }, renderShown(altNames, shown));
      if (shown.some(({ lacks }) => lacks.length > 0)) process.exitCode = EXIT.unconfirmed;
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

async function untilShown(names: readonly string[]): Promise<Shown[]> {
  let shown: Shown[] = [];
  const look = async () => {
    shown = judgeShown(await callDaemon("GET", "/v1/status", { answer: ClusterStatus }), names);
    return shown.every(({ lacks }) => lacks.length === 0);
  };
  try {
    await until("every edge shows the names", look, {
      withinMs: EVERYWHERE_MS,
      everyMs: LOOK_EVERY_MS,
    });
  } catch (error) {
    if (!isFault(error, "base.deadline")) throw error;
  }
  return shown;
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
  return `${head}\n\n${renderTable(["SERVER", "CERTIFICATE ENDS", "STATE"], rows)}`;
}
