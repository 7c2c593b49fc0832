// What is odd in a CA directory that is taken over, for the administrator to know and to decide.
// Pure: what was read comes in, and the time. Nothing here stops a takeover that stock Puppet would
// have lived with; each oddity says what becomes of it, and what to do.

import { isoTime } from "../host/clock.ts";
import type { InventoryLine } from "./inventory.ts";
import { SERIAL_MAX, type Serial } from "./serial.ts";

const DAY_MS = 86_400_000;
/** Certificates of CAs and lists that end sooner are told of. */
const SOON_MS = 90 * DAY_MS;
/** Names, files or lines of one oddity that are kept; more are counted. */
const KEPT_MAX = 1000;
const SHOWN_MAX = 3;

interface Text {
  one: string;
  many: string;
  /** What becomes of it, and what to do. */
  todo: string;
}

/** Every kind, the gravest first. */
const KINDS = {
  "ca-ends": {
    one: "CA certificate ends within 90 days, or has ended",
    many: "CA certificates end within 90 days, or have ended",
    todo: "Every agent needs the new one before that day, and Understudy doesn't make it: plan it now.",
  },
  "parent-crl-ends": {
    one: "CRL of a CA above ends within 90 days, or has ended",
    many: "CRLs of CAs above end within 90 days, or have ended",
    todo: "Agents refuse every certificate from then on. Get newer ones from who keeps that CA, then: understudy ca crl import FILE",
  },
  "serial-twice": {
    one: "serial number belongs to several certificates",
    many: "serial numbers belong to several certificates",
    todo: "A CRL can't tell them apart: revoking one refuses the others. Have all but one ask anew: puppet ssl clean, then a run.",
  },
  "serial-behind": {
    one: "serial file is behind",
    many: "serial files are behind",
    todo: "Stock Puppet would have given a number twice. The cluster counts on above all of them.",
  },
  "revoked-file": {
    one: "revoked certificate is still in signed/",
    many: "revoked certificates are still in signed/",
    todo: "They stay refused. To let such a name enrol anew: understudy ca clean NAME",
  },
  foreign: {
    one: "file in signed/ was not signed by this CA",
    many: "files in signed/ were not signed by this CA",
    todo: "They are left where they are, and out of the record. Move them away if nobody needs them.",
  },
  misnamed: {
    one: "file in signed/ has another name than its certificate",
    many: "files in signed/ have other names than their certificates",
    todo: "Their certificates count, and can be revoked by serial; the files are left alone.",
  },
  unreadable: {
    one: "file in signed/ can't be read as a certificate",
    many: "files in signed/ can't be read as certificates",
    todo: "They are left where they are, and out of the record. Restore them from a backup, or move them away.",
  },
  "no-file": {
    one: "certificate in force has a line in inventory.txt and no file in signed/",
    many: "certificates in force have a line in inventory.txt and no file in signed/",
    todo: "Whoever has such a certificate is let in as before. Where nobody should be: understudy ca revoke --serial SERIAL",
  },
  "no-line": {
    one: "file in signed/ has no line in inventory.txt",
    many: "files in signed/ have no line in inventory.txt",
    todo: "They are in the record all the same and get their line (puppetserver ca generate --ca-client writes none).",
  },
  expired: {
    one: "certificate in signed/ has expired",
    many: "certificates in signed/ have expired",
    todo: "Where the node is gone: understudy ca clean NAME",
  },
  request: {
    one: "waiting request can't be taken in",
    many: "waiting requests can't be taken in",
    todo: "They are left where they are. An agent that still wants a certificate sends its request anew.",
  },
  line: {
    one: "line of inventory.txt is not understood",
    many: "lines of inventory.txt are not understood",
    todo: "They stay in the file of this server, and out of the record.",
  },
  "crl-entry": {
    one: "entry of the CRL has a serial that no certificate can have",
    many: "entries of the CRL have serials that no certificate can have",
    todo: "They are left out of the next CRL.",
  },
  "crl-ends": {
    one: "CRL of this CA ends within 90 days, or has ended",
    many: "CRLs of this CA end within 90 days, or have ended",
    todo: "init signs a new one; from then on that happens once a month by itself.",
  },
  "long-serial": {
    one: `serial number is above ${SERIAL_MAX}`,
    many: `serial numbers are above ${SERIAL_MAX}`,
    todo: "Puppet's own CA gave none of them. They count, and the numbers to come start below.",
  },
} satisfies Record<string, Text>;

export type OddityKind = keyof typeof KINDS;

/** One odd thing, as whoever came across it names it. */
export interface Note {
  kind: OddityKind;
  what: string;
}

/** All odd things of a kind. */
export interface Oddity {
  kind: OddityKind;
  count: number;
  /** Names, files or lines, the first thousand. */
  what: string[];
  meaning: string;
  todo: string;
}

/** What was read of a directory, as far as it is judged here. */
export interface DirectoryFacts {
  /** What was found while reading. */
  notes: readonly Note[];
  signed: readonly {
    certname: string;
    serial: Serial;
    certificate: { notAfter: number };
  }[];
  inventory: readonly InventoryLine[];
  revoked: readonly { serial: Serial }[];
  /** What the `serial` file says. */
  serialFile: number;
  /** The CA's own certificate first, then those above. */
  cas: readonly { subjectText: string; notAfter: number }[];
  /** The CA's own list first, then those above. */
  crls: readonly { issuerText: string; nextUpdateMs: number | undefined }[];
}

/** What is odd, the gravest first; empty when nothing is. */
export function findOddities(facts: DirectoryFacts, nowMs: number): Oddity[] {
  const notes = [
    ...facts.notes,
    ...notesOfEnds(facts, nowMs),
    ...notesOfFiles(facts, nowMs),
    ...notesOfInventory(facts, nowMs),
    ...notesOfSerials(facts),
  ];
  return (Object.keys(KINDS) as OddityKind[]).flatMap((kind) => {
    const what = notes.filter((note) => note.kind === kind).map((note) => note.what);
    if (what.length === 0) return [];
    const { one, many, todo } = KINDS[kind];
    const meaning = what.length === 1 ? one : many;
    return [{ kind, count: what.length, what: what.slice(0, KEPT_MAX), meaning, todo }];
  });
}

/** A few lines for people: counts, the first names of each, what to do. */
export function renderOddities(oddities: readonly Oddity[]): string[] {
  return oddities.flatMap(({ count, meaning, what, todo }) => {
    const shown = what.slice(0, SHOWN_MAX).join(", ");
    const more = count > SHOWN_MAX ? ", …" : "";
    return [`${count} ${meaning}: ${shown}${more}`, `  ${todo}`];
  });
}

function notesOfEnds({ cas, crls }: DirectoryFacts, nowMs: number): Note[] {
  const endsSoon = (atMs: number | undefined): atMs is number =>
    atMs !== undefined && atMs - nowMs < SOON_MS;
  const ofCas = cas
    .filter(({ notAfter }) => endsSoon(notAfter))
    .map(({ subjectText, notAfter }) => noteOf("ca-ends", subjectText, notAfter));
  const ofCrls = crls.flatMap(({ issuerText, nextUpdateMs }, index) => {
    const kind = index === 0 ? "crl-ends" : "parent-crl-ends";
    return endsSoon(nextUpdateMs) ? [noteOf(kind, issuerText, nextUpdateMs)] : [];
  });
  return [...ofCas, ...ofCrls];
}

function noteOf(kind: OddityKind, name: string, endsMs: number): Note {
  return { kind, what: `${name} (${isoTime(endsMs)})` };
}

function notesOfFiles(facts: DirectoryFacts, nowMs: number): Note[] {
  const lines = new Set(facts.inventory.map(({ serial }) => serial));
  const revoked = new Set(facts.revoked.map(({ serial }) => serial));
  return facts.signed.flatMap(({ certname, serial, certificate }): Note[] => {
    const kinds: OddityKind[] = [];
    if (!lines.has(serial)) kinds.push("no-line");
    if (revoked.has(serial)) kinds.push("revoked-file");
    else if (certificate.notAfter < nowMs) kinds.push("expired");
    return kinds.map((kind) => ({ kind, what: certname }));
  });
}

function notesOfInventory(facts: DirectoryFacts, nowMs: number): Note[] {
  const gone = new Set([...facts.signed, ...facts.revoked].map(({ serial }) => serial));
  const names = new Map<Serial, Set<string>>();
  const missing = new Map<Serial, string>();
  for (const { serial, certname, notAfterMs } of facts.inventory) {
    names.set(serial, (names.get(serial) ?? new Set()).add(certname));
    if (!gone.has(serial) && notAfterMs >= nowMs) missing.set(serial, `${certname} (${serial})`);
  }
  const twice = [...names].filter(([, certnames]) => certnames.size > 1);
  return [
    ...twice.map(([serial, certnames]): Note => {
      return { kind: "serial-twice", what: `${serial} of ${[...certnames].join(" and ")}` };
    }),
    ...[...missing.values()].map((what): Note => ({ kind: "no-file", what })),
  ];
}

function notesOfSerials({ signed, inventory, revoked, serialFile }: DirectoryFacts): Note[] {
  const serials = [...new Set([...signed, ...inventory, ...revoked].map(({ serial }) => serial))];
  const values = serials.map((serial) => Number.parseInt(serial, 16));
  const long = serials.filter((_, index) => (values[index] ?? 0) > SERIAL_MAX);
  const highest = values.reduce(
    (max, value) => (value > SERIAL_MAX ? max : Math.max(max, value)),
    0,
  );
  const hex = (value: number) => value.toString(16).toUpperCase();
  return [
    ...long.map((what): Note => ({ kind: "long-serial", what })),
    ...(highest < serialFile
      ? []
      : [
          {
            kind: "serial-behind",
            what: `it says ${hex(serialFile)}, and ${hex(highest)} is given`,
          } satisfies Note,
        ]),
  ];
}
