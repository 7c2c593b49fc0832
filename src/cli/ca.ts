// understudy ca …: the certificate authority, from any server. What changes certificates is here.

import type { Command } from "commander";
import { pause } from "../base/retry.ts";
import { CaList, CaOutcome } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { copiesLine } from "./copies.ts";
import { type Adder, addTyped } from "./lazy.ts";
import { createOutput, EXIT, type Output } from "./output.ts";

/** Revoking waits for every edge, and signing may wait for an election. */
const CHANGE_MS = 60_000;
/**
 * And for each name, many times what it takes. A daemon that hangs is ended long before, by its
 * watchdog, and the wait with it.
 */
const EACH_MS = 100;
/** More names than this take a while, of which something is said. */
const SOON = 200;
const TELL_EVERY_MS = 5000;

const REFUSED = "Exit code: 0 refused everywhere, 3 revoked, but an edge could not be asked yet";

const COMMANDS: Record<string, Adder> = {
  list: addLists,
  show: addLists,
  sign: async (ca) =>
    addChange(ca, {
      verb: "sign",
      description: "sign waiting requests",
      help: "  understudy ca sign web7.example.com\n\nExit code: 0 all signed, 1 some not.",
      past: "signed",
      all: "every request that waits",
    }),
  revoke: async (ca) =>
    addChange(ca, {
      verb: "revoke",
      description:
        "revoke certificates; returns when every edge has confirmed that it refuses them",
      help: `  understudy ca revoke web7.example.com
  understudy ca revoke --serial 1F

${REFUSED}, 1 some not revoked.`,
      past: "revoked",
      serials: true,
    }),
  clean: async (ca) =>
    addChange(ca, {
      verb: "clean",
      description:
        "revoke certificates and forget the names with what waits for them, so that they can be requested anew",
      help: `  understudy ca clean web7.example.com

${REFUSED}, 1 some not cleaned.`,
      past: "cleaned",
    }),
  generate: async (ca) => (await import("./ca-generate.ts")).addCaGenerate(ca),
  crl: async (ca) => (await import("./ca-crl.ts")).addCaCrl(ca),
  reissue: async (ca) => (await import("./ca-reissue.ts")).addCaReissue(ca),
  verify: async (ca) => (await import("./ca-verify.ts")).addCaVerify(ca),
  backup: async (ca) => (await import("./ca-backup.ts")).addCaBackup(ca),
  restore: async (ca) => (await import("./ca-restore.ts")).addCaRestore(ca),
};

/** Adds `ca` and of its commands what `word` names, or all. */
export async function addCa(program: Command, word: string | undefined): Promise<void> {
  const ca = program.command("ca").description("the Puppet certificate authority");
  await addTyped(ca, word, COMMANDS);
}

async function addLists(ca: Command): Promise<void> {
  const { addCaList, addCaShow } = await import("./ca-list.ts");
  addCaList(ca);
  addCaShow(ca);
}

interface Change {
  verb: "sign" | "revoke" | "clean";
  description: string;
  help: string;
  past: string;
  /** What --all means, where there is one. */
  all?: string;
  /** Whether certificates may be named by their serial too. */
  serials?: boolean;
}

interface ChangeFlags {
  all?: boolean;
  serial?: string[];
  json?: boolean;
}

function addChange(ca: Command, change: Change): void {
  const command = ca
    .command(change.verb)
    .argument("[names...]", "certnames")
    .description(change.description)
    .option("--json", "print JSON")
    .addHelpText("after", `\n${change.help}`);
  if (change.all !== undefined) command.option("--all", change.all);
  if (change.serials === true) {
    command.option("--serial <serial...>", "certificates by serial, hexadecimal; also former ones");
  }
  const others = [change.all && "--all", change.serials && "--serial"].filter(Boolean).join(", ");
  command.action(async (names: string[], options: ChangeFlags) => {
    const { all, serial: serials = [] } = options;
    if (names.length + serials.length === 0 && all !== true) {
      const or = others === "" ? "" : `, or ${others}`;
      command.error(`error: give certnames${or}`, { exitCode: EXIT.usage });
    }
    if (names.length > 0 && all === true) {
      command.error("error: give certnames or --all, not both", { exitCode: EXIT.usage });
    }
    const output = createOutput(options.json === true);
    const count = all === true ? await countWaiting() : names.length + serials.length;
    const changing = callDaemon("POST", `/v1/ca/${change.verb}`, {
      body: { names, serials, all: all === true },
      answer: CaOutcome,
      withinMs: changeMs(count),
    });
    if (count > SOON) tellWhile(changing, change.verb, count, output);
    const outcome = await changing;
    output.result(outcome, renderOutcome(outcome, change.past));
    process.exitCode = exitCodeOf(outcome);
  });
}

/** How long a change of `count` names may take. */
export function changeMs(count: number): number {
  return CHANGE_MS + count * EACH_MS;
}

async function countWaiting(): Promise<number> {
  const path = "/v1/ca?state=requested&limit=1";
  return (await callDaemon("GET", path, { answer: CaList })).total;
}

/** Says that it takes a while, and of signing how much is left, as long as `work` goes on. */
function tellWhile(work: Promise<unknown>, verb: string, count: number, output: Output): void {
  const over = new AbortController();
  const end = () => over.abort();
  work.then(end, end);
  output.progress(`${verb}: ${count} at once; that takes a while.`);
  const tell = async () => {
    while (!over.signal.aborted) {
      await pause(TELL_EVERY_MS, over.signal);
      const left = over.signal.aborted ? 0 : await countWaiting().catch(() => 0);
      if (left > 0 && !over.signal.aborted) output.progress(`${left} requests wait still.`);
    }
  };
  if (verb === "sign" && !output.json) void tell();
}

/** The lines of an outcome: each name, then where it holds. */
export function renderOutcome(outcome: CaOutcome, past: string): string {
  const lines = outcome.results.map(({ name, ok, because, serial }) => {
    if (!ok) return `${name}: not ${past}: ${because}`;
    return serial === undefined
      ? `${name}: ${past}`
      : `${name}: ${past} (serial ${shortSerial(serial)})`;
  });
  if (lines.length === 0) lines.push("Nothing to do.");
  const { edges } = outcome;
  if (edges !== undefined) {
    const all = edges.confirmed.length + edges.missing.length;
    lines.push(`refused by ${edges.confirmed.length} of ${all} edges`);
    for (const { member, because } of edges.missing) {
      lines.push(`  ${member} has not confirmed: ${because}. It is asked again until it does.`);
    }
  }
  if (outcome.results.some((result) => result.ok)) lines.push(copiesLine(outcome));
  return lines.join("\n");
}

/** A serial as Puppet's own files write it: at least four digits. */
function shortSerial(serial: string): string {
  return serial.replace(/^0+/, "").toUpperCase().padStart(4, "0");
}

/**
 * Unconfirmed counts most: whoever is revoked and still let in is worse than a name that isn't
 * there.
 */
export function exitCodeOf(outcome: CaOutcome): number {
  if ((outcome.edges?.missing.length ?? 0) > 0) return EXIT.unconfirmed;
  return outcome.results.some((result) => !result.ok) ? EXIT.failed : EXIT.ok;
}
