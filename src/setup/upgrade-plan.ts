// What upgrading packages on one server after another means, said before it begins. Pure: the
// cluster's status and what apt says on each server in, words and figures out.

import { Fault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { findMember } from "../cluster/find-member.ts";
import type { ClusterStatus, MemberAnswer } from "../cluster/status.ts";
import { isPaused, type PackageStep } from "../cluster/work.ts";
import type { UpgradeLook } from "../upgrade/look.ts";
import { movesAddresses, PARTS, packagesOf } from "../upgrade/parts.ts";
import { compareVersions, minorOf } from "../upgrade/version.ts";
import { capacityWithout, countOf } from "./drain-plan.ts";
import type { UpgradeMeant, UpgradePlan } from "./work-contract.ts";

/** What each member's apt says, or why it couldn't be asked. */
export type Looks = ReadonlyMap<string, UpgradeLook | { silent: string }>;

/**
 * What it means. Throws Fault `upgrade.refused` for what no force makes right: another packaging,
 * something that would become older or be removed, etcd over more than one minor version.
 */
export function planUpgrade(
  status: ClusterStatus,
  looks: Looks,
  { parts: wanted, names }: UpgradeMeant,
  nowMs: number,
): UpgradePlan {
  const parts = wanted.length === 0 ? [...PARTS] : [...wanted];
  const members = inOrder(status, names);
  const found = members.map((answer) => ({ answer, look: askedOf(looks, answer.member.id) }));
  const ours = new Set(packagesOf(parts));
  const steps = found.flatMap(({ answer, look }) => {
    const packages = look.changes.filter(({ name }) => ours.has(name));
    if (packages.length === 0) return [];
    const others = look.changes.filter(({ name }) => !ours.has(name));
    return [stepOf(status, answer, { look, packages, others, nowMs })];
  });
  for (const { id } of steps) {
    if (isPaused(status.work, id, nowMs)) throw refuse(`${id} is paused`, "understudy resume");
  }
  const held = steps.find(({ addresses }) => addresses.length > 0);
  if (held !== undefined && isPaused(status.work, held.id, nowMs, "addresses")) {
    const address = held.addresses.join(", ");
    throw refuse(
      `moves of addresses are paused, and ${held.id} has ${address}`,
      "understudy resume",
    );
  }
  refuseEtcd(steps, looks);
  const { busy = 0, waiting = 0 } = steps[0] ? capacityWithout(status, steps[0].id, nowMs) : {};
  return {
    parts,
    refused: whyNot(status, steps, found),
    steps,
    busy,
    waiting,
    notes: found.flatMap(({ answer, look }) => notesOf(answer.member.id, look)),
    risks: risksOf(status, steps, busy + waiting),
  };
}

/**
 * Throws Fault `upgrade.refused` for what only --force makes right: before anybody is asked, and
 * again when it begins.
 */
export function requireAllowed(plan: UpgradePlan, force: boolean): void {
  if (plan.refused === "" || force) return;
  const hints = renderUpgradePlan(plan).split("\n").slice(0, -1);
  throw refuse(plan.refused, ...hints, "If that is meant: the same command with --force");
}

/** Whom it is about, the one whose etcd leads last: its successor is then of the new version. */
function inOrder({ members }: ClusterStatus, names: readonly string[]): MemberAnswer[] {
  const all = members.filter(({ member }) => member.phase !== "leaving");
  const ids = all.map(({ member }) => member.id);
  const meant = new Set(names.length === 0 ? ids : names.map((name) => findMember(ids, name)));
  const rank = ({ local }: MemberAnswer) => (local?.etcd.runs === "leader" ? 1 : 0);
  return all
    .filter(({ member }) => meant.has(member.id))
    .toSorted((a, b) => rank(a) - rank(b) || (a.member.id < b.member.id ? -1 : 1));
}

function askedOf(looks: Looks, id: string): UpgradeLook {
  const look = looks.get(id) ?? { silent: "it wasn't asked" };
  if ("silent" in look) throw refuse(`${id} can't be asked what it has: ${look.silent}`);
  if (!look.apt) {
    throw refuse(
      `${id} has no apt: only Debian packages are upgraded by this`,
      "Upgrade its packages by hand, one server at a time: understudy drain, then understudy undrain.",
    );
  }
  if (look.problem !== "") throw refuse(`${id}: ${look.problem}`);
  return look;
}

function stepOf(
  status: ClusterStatus,
  { member, local }: MemberAnswer,
  {
    look,
    packages,
    others,
    nowMs,
  }: Pick<UpgradePlan["steps"][number], "packages" | "others"> & {
    look: UpgradeLook;
    nowMs: number;
  },
): UpgradePlan["steps"][number] {
  const { id } = member;
  const older = look.changes.find(({ from, to }) => from !== "" && compareVersions(to, from) < 0);
  if (older !== undefined) {
    throw refuse(
      `on ${id} ${older.name} would become older: ${older.from} → ${older.to}`,
      `Look there why its archives say so: apt-cache policy ${older.name}`,
    );
  }
  if (look.removes.length > 0) {
    throw refuse(
      `on ${id} it would remove ${look.removes.join(", ")}`,
      "Upgrade that server by hand: understudy drain, apt-get, understudy undrain.",
    );
  }
  const { left, now } = capacityWithout(status, id, nowMs);
  const moves = movesAddresses(packages.map(({ name }) => name));
  return { id, packages, others, addresses: moves ? (local?.addresses ?? []) : [], left, now };
}

/** etcd goes one minor version at a time, and members of one cluster differ by one at most. */
function refuseEtcd(steps: UpgradePlan["steps"], looks: Looks): void {
  const changes = steps.flatMap(({ packages }) =>
    packages.filter(({ name }) => name === "etcd-server"),
  );
  const here = [...looks.values()].flatMap((look) =>
    "silent" in look ? [] : look.installed.filter(({ name }) => name === "etcd-server"),
  );
  const versions = here.map(({ version }) => version).toSorted(compareVersions);
  const [oldest] = versions;
  for (const { to } of changes) {
    const [major, minor] = minorOf(to);
    const [fromMajor, fromMinor] = minorOf(oldest ?? to);
    if (major === fromMajor && minor - fromMinor <= 1) continue;
    throw refuse(
      `etcd ${oldest} → ${to}: etcd goes one minor version at a time, on every member`,
      "Offer the version between them in your archive, upgrade all to it, then on.",
    );
  }
}

function whyNot(
  status: ClusterStatus,
  steps: UpgradePlan["steps"],
  found: readonly { answer: MemberAnswer; look: UpgradeLook }[],
): string {
  const stale = found.find(({ look }) => look.lists !== "");
  if (stale !== undefined) {
    return `${stale.answer.member.id} can't read its archives' lists anew: ${stale.look.lists}`;
  }
  const serves = new Set(
    status.members.filter(({ member }) => member.backends.length > 0).map((each) => each.member.id),
  );
  const alone = steps.find(({ id, left }) => serves.has(id) && left === 0);
  if (alone !== undefined) {
    return `while ${alone.id} is upgraded no other puppetserver gets requests: they wait at the edges`;
  }
  return "";
}

function notesOf(id: string, { installed }: UpgradeLook): string[] {
  return installed
    .filter(({ held }) => held)
    .map(({ name, version }) => `${id}: ${name} stays at ${version}: it is held (apt-mark unhold)`);
}

function risksOf(status: ClusterStatus, steps: UpgradePlan["steps"], asked: number): string[] {
  const least = steps.toSorted((a, b) => a.left - b.left)[0];
  const more = least === undefined ? 0 : asked - least.left;
  const all = steps.flatMap(({ packages }) => packages);
  const moved = steps.filter(({ addresses }) => addresses.length > 0);
  return [
    ...(more > 0 && least !== undefined
      ? [`${more} of the requests that run now would wait while ${least.id} is upgraded`]
      : []),
    ...(steps.some(({ left, now }) => left * 2 < now && left > 0)
      ? ["less than half of the JRubies is left for a while: runs take longer, requests may wait"]
      : []),
    ...moved.map(({ id, addresses }) => {
      const open = status.members.find(({ member }) => member.id === id)?.local?.edge?.connections;
      const now = open === undefined ? "" : ` (${open} now)`;
      return `where a switchover is refused (understudy switchover --dry-run), connections that are open to ${addresses.join(", ")} break when it moves${now}`;
    }),
    ...majorsOf(all),
    ...differences(steps),
    ...(all.some(({ name }) => name === "etcd-server") && status.etcd.voters === 1
      ? ["etcd has one voter: nothing can be changed for the seconds in which it restarts"]
      : []),
    ...(all.some(({ name }) => name === "puppetdb" || name === "openvoxdb") &&
    status.members.some(({ member }) => member.puppetdbShared === true)
      ? ["PuppetDBs share one database: the first that is upgraded may change it for the others"]
      : []),
  ];
}

function majorsOf(all: readonly PackageStep[]): string[] {
  const lines = all.flatMap(({ name, from, to }) => {
    const [a, b] = [minorOf(from), minorOf(to)];
    if (name === "etcd-server" && a[1] !== b[1]) {
      return [
        `etcd ${from} → ${to} is another minor version: once all have it, there is no way back`,
      ];
    }
    return a[0] === b[0]
      ? []
      : [`${name} ${from} → ${to} is another major version: read its notes`];
  });
  return [...new Set(lines)];
}

/** Packages that would have another version on one server than on another. */
function differences(steps: UpgradePlan["steps"]): string[] {
  const versions = new Map<string, Set<string>>();
  for (const { packages } of steps) {
    for (const { name, to } of packages) {
      versions.set(name, (versions.get(name) ?? new Set()).add(to));
    }
  }
  return [...versions].flatMap(([name, all]) =>
    all.size > 1 ? [`servers' archives differ: ${name} becomes ${[...all].join(" and ")}`] : [],
  );
}

/** The plan as text for people. */
export function renderUpgradePlan(plan: UpgradePlan): string {
  const { steps, busy, waiting, notes, risks, refused } = plan;
  if (steps.length === 0) {
    const found = `servers' archives have nothing newer of ${plan.parts.join(", ")}`;
    // Old lists show nothing new.
    const known = refused === "" ? `: ${found}` : ` is known: ${refused}`;
    return [`Nothing to upgrade${known}.`, ...notes].join("\n");
  }
  const rows = steps.flatMap(({ id, packages, others, addresses, left, now }, index) => {
    const lines = packages.map(({ name, from, to }) => `${name} ${from} → ${to}`);
    if (others.length > 0) lines.push(`and ${countOf(others.length, "package")} that they need`);
    if (addresses.length > 0) lines.push(`${addresses.join(", ")} goes to another server`);
    return lines.map((line, at) =>
      at === 0 ? [String(index + 1), id, line, `${left} of ${now}`] : ["", "", line, ""],
    );
  });
  return [
    renderTable(["", "SERVER", "UPGRADES", "JRUBIES LEFT MEANWHILE"], rows),
    "",
    "Each: edges give it nothing new, its last request is waited for (10 minutes at most), its packages are upgraded,",
    "what runs them restarts, all that was well there must be well again; then the next one. It halts at the first",
    "that doesn't come back.",
    `${countOf(busy, "request")} run now, ${waiting} wait.`,
    ...notes,
    ...(risks.length === 0 ? [] : ["At risk:", ...risks.map((risk) => ` - ${risk}`)]),
    ...(refused === "" ? [] : [`Refused without --force: ${refused}.`]),
  ].join("\n");
}

function refuse(because: string, ...hints: string[]): Fault {
  return new Fault("upgrade.refused", because, { hints });
}
