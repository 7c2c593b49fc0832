// understudy ca list and show: what the authority has, as people and scripts read it.

import type { Command } from "commander";
import { parseDuration } from "../base/duration.ts";
import { Fault } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { renderTable } from "../base/table.ts";
import { CaList, CaQuery, CaShown } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { check } from "./options.ts";
import { createOutput } from "./output.ts";

/** Longest text of a field; alternative names may be hundreds. */
const FIELD_CHARACTERS_MAX = 4000;
/** The same in a list, where `ca show` has the rest. */
const BESIDES_CHARACTERS_MAX = 80;

const Count = CaQuery.shape.limit.unwrap();
const State = CaQuery.shape.state.unwrap();

interface ListFlags {
  all?: boolean;
  state?: string;
  expiring?: string;
  limit?: string;
  json?: boolean;
}

export function addCaList(ca: Command): void {
  ca.command("list")
    .argument("[pattern]", 'only these names, as in "web*.example.com"')
    .description("requests that wait; with an option certificates too")
    .option("--all", "also signed and revoked certificates")
    .option("--state <state>", "requested, signed or revoked ones only")
    .option("--expiring <duration>", "certificates that end within this time, as in 30d")
    .option("--limit <count>", "so many at most, by name")
    .option("--json", "print JSON")
    .addHelpText("after", LIST_HELP)
    .action(async (pattern: string | undefined, flags: ListFlags) => {
      const query = new URLSearchParams(queryOf(pattern, flags)).toString();
      const { entries, total } = await callDaemon("GET", `/v1/ca?${query}`, { answer: CaList });
      createOutput(flags.json === true).result(entries, renderList({ entries, total }, flags));
    });
}

/** What the flags ask for: without any, the requests that wait. */
export function queryOf(pattern: string | undefined, flags: ListFlags): Record<string, string> {
  const { all, state, expiring, limit } = flags;
  const seconds = expiring === undefined ? undefined : parseDuration(expiring);
  const waiting = all !== true && state === undefined && expiring === undefined;
  const wanted = {
    pattern,
    state:
      state === undefined ? (waiting ? "requested" : undefined) : check(State, "--state", state),
    endsWithinS: seconds,
    limit: limit === undefined ? undefined : check(Count, "--limit", limit),
  };
  return Object.fromEntries(
    Object.entries(wanted).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, String(value)]],
    ),
  );
}

/** A line for each, of what there is of all. */
export function renderList({ entries, total }: CaList, flags: ListFlags): string {
  if (entries.length === 0) {
    const onlyRequests = flags.all !== true && flags.state === undefined && !flags.expiring;
    return onlyRequests ? "No requests wait." : "No certificates.";
  }
  const rows = entries.map((entry) => [
    entry.name,
    entry.state,
    entry.serial ?? "-",
    entry.notAfter ?? "-",
    entry.fingerprint,
    oneLine(besides(entry), BESIDES_CHARACTERS_MAX),
  ]);
  const head = ["NAME", "STATE", "SERIAL", "EXPIRES", "SHA-256 FINGERPRINT", "BESIDES"];
  const table = renderTable(head, rows);
  const left = total - entries.length;
  return left === 0 ? table : `${table}\n… and ${left} more.`;
}

/** What a certificate is or would be good for besides its name. */
function besides({ name, altNames, extensions }: CaList["entries"][number]): string {
  const others = altNames.filter((altName) => altName !== `DNS:${name}`);
  return [...others, ...textsOf(extensions)].join(", ") || "-";
}

export function addCaShow(ca: Command): void {
  ca.command("show")
    .argument("<name>", "a certname, or a serial in hexadecimal")
    .description("all that there is of a name: its certificates, also former ones, and its request")
    .option("--pem", "print the newest certificate as PEM")
    .option("--json", "print JSON")
    .addHelpText("after", SHOW_HELP)
    .action(async (what: string, flags: { pem?: boolean; json?: boolean }) => {
      const path = `/v1/ca/show/${encodeURIComponent(what)}`;
      const shown = await callDaemon("GET", path, { answer: CaShown });
      const output = createOutput(flags.json === true);
      output.result(shown, flags.pem === true ? newestPem(what, shown) : renderShown(shown));
    });
}

function newestPem(what: string, { certificates }: CaShown): string {
  const pem = certificates[0]?.pem;
  if (pem !== undefined) return pem;
  throw new Fault("ca.unknown-name", `there is no certificate of "${what}" whose content is known`);
}

/** A block of lines for each certificate, the newest first. */
export function renderShown({ certificates, request }: CaShown): string {
  const blocks = certificates.map((one) => {
    const revoked = one.revokedAt && `${one.revokedAt}, since CRL ${one.crlNumber ?? "?"}`;
    return lines(`${one.certname}: ${one.state}`, {
      serial: one.serial,
      valid: `${one.notBefore} to ${one.notAfter}`,
      revoked,
      signed: `${one.signedAt} by ${one.signedBy}`,
      issuer: one.issuer,
      key: one.key,
      "alt names": one.altNames.join(", "),
      authorization: textsOf(one.authorizationExtensions).join(", "),
      "SHA-256": one.fingerprint,
    });
  });
  if (request !== undefined) {
    blocks.unshift(
      lines(`${request.name}: a request waits`, {
        "alt names": request.subject_alt_names.join(", "),
        authorization: textsOf(request.authorization_extensions).join(", "),
        "SHA-256": request.fingerprint,
      }),
    );
  }
  return blocks.join("\n\n");
}

function textsOf(extensions: Record<string, string>): string[] {
  return Object.entries(extensions).map(([name, value]) => `${name}=${value}`);
}

function lines(head: string, fields: Record<string, string | undefined>): string {
  const there = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  // What a request asks for is anybody's text, and this is what it is judged by.
  const texts = there.map(([name, value]) => [name, oneLine(value ?? "", FIELD_CHARACTERS_MAX)]);
  return [head, ...texts.map(([name = "", text]) => `  ${name.padEnd(14)} ${text}`)].join("\n");
}

const LIST_HELP = `
  understudy ca list
  understudy ca list --all "web*.example.com"
  understudy ca list --expiring 30d

Exit code: 0 answered, also where there is none; 1 refused or failed.`;

const SHOW_HELP = `
  understudy ca show web7.example.com
  understudy ca show 1F --pem

Exit code: 0 shown, 1 there is none, or it failed.`;
