// Whether what clients saw, and what is left in the end, is what a certificate authority may do:
// nothing acknowledged is lost, no serial and no name is given twice, nobody who was revoked
// passes, CRLs only move forward. Pure; an empty list is the verdict "it held".

import { type Act, type History, isDone, type LastState, mayBeDone, type Seen } from "./history.ts";

/** Every breach of what a CA promises, in words; empty when there is none. */
export function listBreaches(history: History): string[] {
  return [
    ...serialsGivenTwice(history),
    ...lostCertificates(history),
    ...namesGivenTwice(history),
    ...lostRevocations(history),
    ...revokedThatPassed(history),
    ...passedInTheEnd(history),
    ...crlsThatWentBack(history),
    ...lostCrls(history),
    ...crlsThatDiffer(history),
    ...serversThatDiffer(history),
  ];
}

interface Holder extends Seen {
  name: string;
  where: string;
}

/** Every certificate that anybody saw. */
function certificatesOf({ acts, last }: History): Holder[] {
  const answered = acts.flatMap((act) =>
    (act.op === "fetch" || act.op === "renew") && act.seen !== undefined
      ? [{ ...act.seen, name: act.name, where: `${act.op} at ${act.server}` }]
      : [],
  );
  const kept = last.flatMap(({ server, signed }) =>
    [...signed].map(([name, seen]) => ({ ...seen, name, where: `signed/ of ${server}` })),
  );
  return [...answered, ...kept];
}

function serialsGivenTwice(history: History): string[] {
  const first = new Map<string, Holder>();
  const breaches = certificatesOf(history).flatMap((found) => {
    const other = first.get(found.serial);
    if (other === undefined) first.set(found.serial, found);
    if (other === undefined || other.sha256 === found.sha256) return [];
    const both = `${other.name} (${other.where}) and ${found.name} (${found.where})`;
    return [`serial ${found.serial} is two certificates': ${both}`];
  });
  for (const { server, inventory } of history.last) {
    const names = new Map<string, string>();
    for (const { serial, name } of inventory) {
      if (names.has(serial)) breaches.push(`${server}: serial ${serial} is in the inventory twice`);
      names.set(serial, name);
    }
  }
  return [...new Set(breaches)];
}

/** Certificates that somebody was given, and names that were acknowledged, but aren't there. */
function lostCertificates(history: History): string[] {
  const { acts, last } = history;
  const given = new Map(certificatesOf(history).map((found) => [found.serial, found]));
  const mayBeCleaned = new Set(
    acts.flatMap((act) => (act.op === "clean" && mayBeDone(act) ? [act.name] : [])),
  );
  const accepted = new Set(
    acts.flatMap((act) => (act.op === "submit" && isDone(act) ? [act.name] : [])),
  );
  return last.flatMap(({ server, inventory, signed }) => {
    const names = new Map(inventory.map(({ serial, name }) => [serial, name]));
    const lost = [...given.values()].flatMap(({ serial, name, where }) => {
      if (names.get(serial) === name) return [];
      return [`${server}: the inventory lacks ${name}'s ${serial}, which was in ${where}`];
    });
    const unsigned = [...accepted].filter((name) => !mayBeCleaned.has(name) && !signed.has(name));
    return [
      ...lost,
      ...unsigned.map((name) => `${server}: ${name} was acknowledged and has no certificate`),
    ];
  });
}

/**
 * A name has one holder until it is cleaned: one key, and one certificate more for each renewal.
 */
function namesGivenTwice(history: History): string[] {
  const { acts, last } = history;
  const count = (name: string, op: Act["op"]) =>
    acts.filter((act) => act.op === op && "name" in act && act.name === name && mayBeDone(act))
      .length;
  // Servers' own names have their own ways to further certificates.
  const asked = new Set(acts.flatMap((act) => (act.op === "submit" ? [act.name] : [])));
  const keys = new Map<string, Set<string>>();
  for (const { name, key } of certificatesOf(history)) {
    if (asked.has(name)) keys.set(name, (keys.get(name) ?? new Set()).add(key));
  }
  const byKey = [...keys].flatMap(([name, found]) => {
    const most = 1 + count(name, "clean");
    return found.size <= most ? [] : [`${name} was given to ${found.size} keys, ${most} may be`];
  });
  const byCount = last.flatMap(({ server, inventory }) =>
    [...keys.keys()].flatMap((name) => {
      const most = 1 + count(name, "clean") + count(name, "renew");
      const there = inventory.filter((line) => line.name === name).length;
      if (there <= most) return [];
      return [`${server}: ${name} has ${there} certificates, ${most} may be`];
    }),
  );
  return [...byKey, ...byCount];
}

interface Ended {
  serial: string;
  name: string;
  /** When the answer came that said so. */
  sinceMs: number;
  open: readonly string[];
}

/**
 * What acknowledged revocations ended: every certificate that was known before they were sent, and
 * of a name that wasn't asked for again, every other one too: a renewal at the same time is revoked
 * with it.
 */
function endedBy({ acts }: History): Ended[] {
  const askedMs = lastAskedMs(acts);
  const known = acts.flatMap((act) =>
    (act.op === "fetch" || act.op === "renew") && act.seen !== undefined
      ? [{ name: act.name, serial: act.seen.serial, sinceMs: act.toMs }]
      : [],
  );
  return acts.flatMap((act) => {
    if ((act.op !== "revoke" && act.op !== "clean") || !isDone(act)) return [];
    const isLast = act.fromMs >= (askedMs.get(act.name) ?? 0);
    return known
      .filter(({ name, sinceMs }) => name === act.name && (isLast || sinceMs <= act.fromMs))
      .map(({ name, serial }) => ({ name, serial, sinceMs: act.toMs, open: act.open }));
  });
}

function lostRevocations(history: History): string[] {
  const ended = endedBy(history);
  const over = namesThatEnded(history);
  return history.last.flatMap(({ server, crl, inventory }) => {
    const lacks = ended.filter(({ serial }) => !crl.serials.has(serial));
    const inForce = inventory.filter(
      ({ serial, name }) => over.has(name) && !crl.serials.has(serial),
    );
    return [
      ...lacks.map(
        ({ name, serial }) => `${server}: ${name}'s ${serial} was revoked and is not in the CRL`,
      ),
      ...inForce.map(
        ({ name, serial }) => `${server}: ${name} was revoked, and its ${serial} is in force`,
      ),
    ];
  });
}

/**
 * Names that were revoked and not asked for again: nothing of theirs may be in force, not even what
 * a renewal made at the same time and nobody got the answer of.
 */
function namesThatEnded({ acts }: History): Set<string> {
  const askedMs = lastAskedMs(acts);
  const last = acts.flatMap((act) => {
    if ((act.op !== "revoke" && act.op !== "clean") || !isDone(act)) return [];
    return act.fromMs >= (askedMs.get(act.name) ?? 0) ? [act.name] : [];
  });
  return new Set(last);
}

/** By when what was last asked for each name was done, if it was. */
function lastAskedMs(acts: readonly Act[]): Map<string, number> {
  const askedMs = new Map<string, number>();
  for (const act of acts) {
    if (act.op !== "submit" || !mayBeDone(act)) continue;
    // Without an answer it may be done at any time, also after everything else.
    const untilMs = isDone(act) ? act.toMs : Infinity;
    askedMs.set(act.name, Math.max(untilMs, askedMs.get(act.name) ?? 0));
  }
  return askedMs;
}

function revokedThatPassed(history: History): string[] {
  const ended = endedBy(history);
  return history.acts.flatMap((act) => {
    if (act.op !== "use" || !isDone(act)) return [];
    const before = ended.find(
      ({ serial, sinceMs, open }) =>
        serial === act.serial && sinceMs <= act.fromMs && !open.includes(act.server),
    );
    if (before === undefined) return [];
    const later = Math.round(act.fromMs - before.sinceMs);
    return [`${act.server} let ${act.name}'s ${act.serial} pass ${later} ms after it was revoked`];
  });
}

/** Once every edge has confirmed, nothing revoked passes, whoever had not confirmed before. */
function passedInTheEnd({ acts, confirmed }: History): string[] {
  if (confirmed === undefined) return [];
  const { atMs, serials } = confirmed;
  return acts.flatMap((act) => {
    if (act.op !== "use" || !isDone(act) || act.fromMs < atMs) return [];
    if (!serials.has(act.serial)) return [];
    const later = `${Math.round(act.fromMs - atMs)} ms after every edge had confirmed the CRL`;
    return [`${act.server} let ${act.name}'s ${act.serial} pass ${later}`];
  });
}

function crlsThatWentBack({ crls }: History): string[] {
  const newest = new Map<string, number>();
  return crls
    .toSorted((a, b) => a.atMs - b.atMs)
    .flatMap(({ server, number }) => {
      const before = newest.get(server) ?? 0;
      newest.set(server, Math.max(before, number));
      return number < before ? [`${server}: CRL ${number} on disk after CRL ${before}`] : [];
    });
}

function crlsThatDiffer({ acts, crls, last }: History): string[] {
  const found = [
    ...crls,
    ...last.map(({ server, crl }) => ({ server, ...crl })),
    ...acts.flatMap((act) =>
      act.op === "crl" && act.number !== undefined && act.sha256 !== undefined
        ? [{ server: act.server, number: act.number, sha256: act.sha256 }]
        : [],
    ),
  ];
  const bytes = new Map<number, string>();
  return found.flatMap(({ server, number, sha256 }) => {
    const other = bytes.get(number) ?? sha256;
    bytes.set(number, other);
    return other === sha256 ? [] : [`CRL ${number} of ${server} has other bytes than elsewhere`];
  });
}

/** Nobody was given a CRL that is newer than what is left in the end. */
function lostCrls({ acts, last }: History): string[] {
  return last.flatMap(({ server, crl }) =>
    acts.flatMap((act) =>
      act.op === "crl" && act.number !== undefined && act.number > crl.number
        ? [`${server}: its last CRL is ${crl.number}, and ${act.server} gave CRL ${act.number}`]
        : [],
    ),
  );
}

/** In the end all servers have the same. */
function serversThatDiffer({ last }: History): string[] {
  const [first, ...others] = last;
  if (first === undefined) return ["no server was looked at in the end"];
  const wanted = facesOf(first);
  return others.flatMap((other) => {
    const found = facesOf(other);
    return Object.entries(wanted).flatMap(([what, lines]) => {
      const lacks = [...lines].filter((line) => !found[what]?.has(line));
      const more = [...(found[what] ?? [])].filter((line) => !lines.has(line));
      if (lacks.length + more.length === 0) return [];
      const some = [...lacks.map((line) => `-${line}`), ...more.map((line) => `+${line}`)];
      return [
        `${what} of ${other.server} and ${first.server} differ: ${some.slice(0, 5).join(" ")}`,
      ];
    });
  });
}

function facesOf({ inventory, signed, crl }: LastState): Record<string, Set<string>> {
  return {
    "the inventories": new Set(inventory.map(({ serial, name }) => `${serial} ${name}`)),
    "the folders signed/": new Set([...signed].map(([name, { sha256 }]) => `${name} ${sha256}`)),
    "the CRLs": new Set([`${crl.number} ${crl.sha256}`]),
  };
}
