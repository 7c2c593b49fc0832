// Commands that a PuppetDB will never take, kept beside the reason until somebody looks at them:
// two files each, in a folder of that PuppetDB. The one that tells of it counts: it is written last
// and goes first.

import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { makeFolder, readBytesIfThere, readIfThere, writeFileAtomic } from "../host/files.ts";
import { parseHead, renderHead, type SpooledHead } from "./frame.ts";

const NAME = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json$/;
const Because = z.looseObject({ because: z.string() });

/** One of them; an id names it together with the PuppetDB. */
export interface DeadLetter {
  puppetdb: string;
  head: SpooledHead;
  because: string;
  /** Length of its body as it came, in bytes. */
  bytes: number;
}

export interface DeadLetters {
  /** Keeps one; resolves when it is on disk. */
  bury(puppetdb: string, head: SpooledHead, body: Buffer, because: string): Promise<void>;
  count(puppetdb: string): Promise<number>;
  /** All, the oldest first; what can't be read is left out. */
  list(): Promise<DeadLetter[]>;
  /** Its body as it came; undefined when it is gone. */
  body(letter: DeadLetter): Promise<Buffer | undefined>;
  remove(letter: DeadLetter): Promise<void>;
}

export function createDeadLetters(folder: string): DeadLetters {
  const pathOf = (puppetdb: string, id: string, ending: "json" | "body") =>
    join(folder, puppetdb, `${id}.${ending}`);
  const idsOf = async (puppetdb: string): Promise<string[]> => {
    const names = await readdir(join(folder, puppetdb)).catch(() => []);
    return names.flatMap((name) => NAME.exec(name)?.[1] ?? []);
  };
  const read = async (puppetdb: string, id: string): Promise<DeadLetter | undefined> => {
    try {
      const text = await readIfThere(pathOf(puppetdb, id, "json"));
      if (text === undefined) return undefined;
      const { because } = Because.parse(JSON.parse(text));
      const { size: bytes } = await stat(pathOf(puppetdb, id, "body"));
      return { puppetdb, head: parseHead(text), because, bytes };
    } catch {
      return undefined;
    }
  };
  return {
    async bury(puppetdb, head, body, because) {
      await makeFolder(join(folder, puppetdb), { mode: 0o700 });
      await writeFileAtomic(pathOf(puppetdb, head.id, "body"), body, { mode: 0o600 });
      const known = JSON.parse(renderHead(head)) as object;
      const text = JSON.stringify({ ...known, because });
      await writeFileAtomic(pathOf(puppetdb, head.id, "json"), text, { mode: 0o600 });
    },
    count: async (puppetdb) => (await idsOf(puppetdb)).length,
    async list() {
      const letters: DeadLetter[] = [];
      for (const puppetdb of await readdir(folder).catch(() => [])) {
        for (const id of await idsOf(puppetdb)) {
          const letter = await read(puppetdb, id);
          if (letter !== undefined) letters.push(letter);
        }
      }
      return letters.toSorted((a, b) => a.head.takenMs - b.head.takenMs);
    },
    body: async ({ puppetdb, head }) => readBytesIfThere(pathOf(puppetdb, head.id, "body")),
    async remove({ puppetdb, head }) {
      await rm(pathOf(puppetdb, head.id, "json"), { force: true });
      await rm(pathOf(puppetdb, head.id, "body"), { force: true });
    },
  };
}
