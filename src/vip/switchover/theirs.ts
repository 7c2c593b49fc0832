// Which connections the old holder has: it lists them when the addresses have left it, the new
// holder adds those that it passes on, and needs them when the old one dies.

import { z } from "zod";
import { readIfThere, writeFileAtomic } from "../../host/files.ts";
import { run, tryRun } from "../../host/process.ts";
import { TABLES } from "./plan.ts";
import { renderElements, type Socket } from "./render.ts";

const ASK_MS = 10_000;
/** More are not told: they are seen when they say something. */
export const THEIRS_MAX = 50_000;

export const Sockets = z
  .array(
    z.object({
      from: z.ipv4(),
      fromPort: z.int().min(0).max(65_535),
      to: z.ipv4(),
      toPort: z.int().min(0).max(65_535),
    }),
  )
  .max(THEIRS_MAX);

export async function writeList(path: string, sockets: readonly Socket[]): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(sockets.slice(0, THEIRS_MAX))}\n`);
}

/** The list in `path`; undefined when there is none. */
export async function readList(path: string): Promise<Socket[] | undefined> {
  const text = await readIfThere(path);
  return text === undefined ? undefined : Sockets.parse(JSON.parse(text));
}

/** Has the new holder's table know them. Throws Fault `host.command-failed`. */
export async function addTheirs(sockets: readonly Socket[]): Promise<void> {
  const input = renderElements(TABLES.new, "theirs", sockets);
  if (input !== "") await run(["nft", "-f", "-"], { input, withinMs: ASK_MS });
}

/** All that the new holder's table knows; none when it can't be read. */
export async function readTheirs(): Promise<Socket[]> {
  const argv = ["nft", "-j", "list", "set", "netdev", TABLES.new, "theirs"];
  const listed = await tryRun(argv, { withinMs: ASK_MS });
  return listed.ok ? parseTheirs(listed.stdout) : [];
}

const Concatenation = z.object({
  concat: z.tuple([z.ipv4(), z.int(), z.ipv4(), z.int()]),
});
const Listing = z.object({
  nftables: z.array(
    z.object({ set: z.object({ elem: z.array(z.unknown()).default([]) }).optional() }),
  ),
});
const Element = z.union([
  z.object({ elem: z.object({ val: Concatenation }) }).transform(({ elem }) => elem.val),
  Concatenation,
]);

/** Reads `nft -j list set` of connections. */
export function parseTheirs(json: string): Socket[] {
  const { data } = Listing.safeParse(JSON.parse(json));
  return (data?.nftables ?? []).flatMap(({ set }) =>
    (set?.elem ?? []).flatMap((each) => {
      const element = Element.safeParse(each).data;
      if (element === undefined) return [];
      const [from, fromPort, to, toPort] = element.concat;
      return [{ from, fromPort, to, toPort }];
    }),
  );
}
