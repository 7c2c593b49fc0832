// What of one member's own status is to be looked at. Pure.

import { QUOTA_BYTES } from "../etcd/server.ts";
import { clockWarning } from "./clock.ts";
import { diskWarnings } from "./disk-status.ts";
import { ejectionWarnings } from "./ejection-status.ts";
import { isVoting, type LocalStatus, type MemberAnswer } from "./status.ts";
import { type Warning, warning, type WarningKind } from "./warning.ts";

/** The part of etcd's quota from which on somebody should do something. */
const NEARLY_FULL = 0.8;

export function memberWarnings(answer: MemberAnswer, nowMs: number): Warning[] {
  const { id } = answer.member;
  const { local } = answer;
  if (answer.member.phase === "leaving") {
    const text = `${id} is leaving: finish that there with understudy leave, else with understudy member remove ${id}.`;
    return [warning("member-leaving", id, text)];
  }
  if (local === undefined && answer.member.phase === "joining") {
    const text = `${id} hasn't finished joining, and doesn't answer: run its join again, or: understudy member remove ${id}.`;
    return [warning("member-setup", id, text)];
  }
  if (local === undefined) {
    return [warning("member-silent", id, `${id} doesn't answer: ${answer.because}`)];
  }
  const warnings = toldBy(id, local);
  const add = (kind: WarningKind, text: string) => warnings.push(warning(kind, id, text));
  if (local.phase === "setup")
    add("member-setup", `${id} hasn't finished setting up: run its init or join again.`);
  if (!local.record.reachable)
    add("record-unreachable", `${id} can't reach the record: ${local.record.because}`);
  // A voter that doesn't count is named with its reason among etcd's.
  if (local.etcd.because !== "" && isVoting(local)) {
    add("etcd-troubled", `${id}'s etcd: ${local.etcd.because}`);
  }
  if (local.etcd.dbSizeBytes > QUOTA_BYTES * NEARLY_FULL) {
    add("etcd-full", `${id}'s etcd has a nearly full database: understudy member compact`);
  }
  warnings.push(...diskWarnings(id, local.disks ?? []));
  warnings.push(...ejectionWarnings(local));
  if (local.edge?.active === false) add("edge-down", `${id}'s edge is down: ${local.edge.because}`);
  for (const { name, unfit } of answer.member.backends) {
    if (unfit === "") continue;
    const text = `${id}'s puppetserver gets no requests: ${unfit}.`;
    warnings.push(warning("puppetserver-unfit", name === id ? id : `${id} ${name}`, text));
  }
  if (local.ca !== undefined) warnings.push(...caWarnings(id, local.ca));
  // What an older version, or a member that can ask nobody, doesn't know.
  const clock = clockWarning(id, local.clock?.offsetMs ?? local.wallMs - nowMs);
  return clock === undefined ? warnings : [...warnings, clock];
}

/** What the member alone knows; an older version gives texts only. */
function toldBy(id: string, { warnings, problems }: LocalStatus): Warning[] {
  const told = problems ?? warnings.map((text) => warning("member-troubled", undefined, text));
  return told.map((each) => {
    const { subject, text, ...rest } = each;
    // Of the whole cluster, whoever leads tells it.
    if (each.kind === "alerts-channel") return each;
    const whose = subject === undefined ? id : `${id} ${subject}`;
    return { ...rest, subject: whose, text: `${id}: ${text}` };
  });
}

function caWarnings(id: string, ca: NonNullable<LocalStatus["ca"]>): Warning[] {
  const warnings: Warning[] = [];
  const add = (kind: WarningKind, text: string) => warnings.push(warning(kind, id, text));
  const { serving, because, directoryBehind, unreadable, unknownFiles } = ca;
  if (!serving) add("ca-not-serving", `${id}'s CA can't serve: ${because}`);
  else if (because !== "") add("ca-troubled", `${id}'s CA serves, but: ${because}`);
  if (directoryBehind !== "") {
    add("ca-directory-behind", `${id}'s CA directory is behind the record: ${directoryBehind}`);
  }
  if (unreadable.length > 0) {
    const keys = countOf(unreadable, "key of the record", "keys of the record");
    add("ca-unreadable", `${id} can't read ${keys}: bring it to the newest version.`);
  }
  if (unknownFiles.length > 0) {
    const files = countOf(unknownFiles, "file", "files");
    const text = `${id}'s CA directory has ${files} that the record doesn't know: left alone.`;
    add("ca-unknown-files", text);
  }
  return warnings;
}

/** "1 file (/a)", "3 files (/a, …)". */
function countOf(items: readonly string[], one: string, many: string): string {
  const example = items.length === 1 ? `${items[0]}` : `${items[0]}, …`;
  return `${items.length} ${items.length === 1 ? one : many} (${example})`;
}
