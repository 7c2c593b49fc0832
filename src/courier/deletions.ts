// Nodes that were deleted, and when: what of them is older is brought to no PuppetDB any more,
// neither from a spool nor from another PuppetDB that still has it. Lines in a file that grows;
// a torn one is no line, since its time isn't whole. Danger: one that is forgotten too soon lets
// a PuppetDB that was away for long bring the node back.

import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import { readIfThere, writeFileAtomic } from "../host/files.ts";

/** How long they are kept; a PuppetDB that was away for longer fills anew. */
export const DELETIONS_KEPT_MS = 180 * 86_400_000;
const LINE = /^(\S{1,250}) (\d{13})$/;

export const Deletion = z.tuple([z.string().regex(/^\S{1,250}$/), z.int().positive()]);
/** Certname, and when it was deleted: milliseconds since the epoch. */
export type Deletion = z.infer<typeof Deletion>;

export interface Deletions {
  /** When it was deleted last, milliseconds since the epoch. */
  at(certname: string): number | undefined;
  /** Keeps those that are news; resolves when they are on disk. */
  add(list: readonly Deletion[]): Promise<void>;
  all(): Deletion[];
  readonly count: number;
  /** Another text after each change. */
  readonly version: string;
  close(): Promise<void>;
}

/** Opens the file at `path`, and forgets what is too old at `nowMs`. */
export async function openDeletions(path: string, nowMs: number): Promise<Deletions> {
  const known = new Map<string, number>();
  let newestMs = 0;
  const know = ([certname, atMs]: Deletion) => {
    if (atMs <= (known.get(certname) ?? 0)) return false;
    known.set(certname, atMs);
    newestMs = Math.max(newestMs, atMs);
    return true;
  };
  const text = (await readIfThere(path)) ?? "";
  for (const line of text.split("\n")) {
    const [, certname = "", at = ""] = LINE.exec(line) ?? [];
    if (certname !== "" && Number(at) > nowMs - DELETIONS_KEPT_MS) know([certname, Number(at)]);
  }
  const kept = [...known].map(render).join("");
  if (kept !== text) await writeFileAtomic(path, kept, { mode: 0o600 });
  let file: FileHandle | undefined;
  let writing: Promise<unknown> = Promise.resolve();
  const write = async (lines: string) => {
    file ??= await open(path, "a", 0o600);
    await file.appendFile(lines);
    await file.datasync();
  };
  return {
    at: (certname) => known.get(certname),
    async add(list) {
      const news = list.filter(([certname, atMs]) => atMs > (known.get(certname) ?? 0));
      if (news.length === 0) return void (await writing);
      // A line that was cut off before ends where this begins.
      const done = writing.then(async () => write(`\n${news.map(render).join("")}`));
      writing = done.catch(() => undefined);
      await done;
      for (const one of news) know(one);
    },
    all: () => [...known],
    get count() {
      return known.size;
    },
    get version() {
      return `${known.size} ${newestMs}`;
    },
    async close() {
      await writing;
      await file?.close();
      file = undefined;
    },
  };
}

function render([certname, atMs]: Deletion): string {
  return `${certname} ${atMs}\n`;
}
