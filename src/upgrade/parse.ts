// What apt and dpkg print, read. Pure. They are run with LC_ALL=C.

import { z } from "zod";

/** An installed package. */
export const Installed = z.object({
  name: z.string(),
  version: z.string(),
  /** An administrator keeps it at its version (apt-mark hold). */
  held: z.boolean(),
  /** Whether it is unpacked and set up. */
  whole: z.boolean(),
});
export type Installed = z.infer<typeof Installed>;

/** What `dpkg-query` is asked for: a line each. */
export const QUERY_FORMAT = "${Package}\\t${Version}\\t${db:Status-Abbrev}\\n";

/** Reads dpkg-query's lines. Packages that aren't there, or only as configuration, are left out. */
export function parseInstalled(text: string): Installed[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", version = "", status = ""] = line.split("\t");
    // First what is wanted, then what is so, as in "ii " or "hi "; n: not there, c: configuration.
    if (version === "" || /^.[nc]/.test(status)) return [];
    return [{ name, version, held: status.startsWith("h"), whole: status[1] === "i" }];
  });
}

/** What apt-get would do. `from` is empty for a package that is new. */
export interface AptPlan {
  changes: { name: string; from: string; to: string }[];
  removes: string[];
}

/** Reads `apt-get -s install`. */
export function parseAptPlan(text: string): AptPlan {
  const changes = [...text.matchAll(/^Inst (\S+)(?: \[([^\]]*)\])? \((\S+)/gm)].map(
    ([, name = "", from = "", to = ""]) => ({ name, from, to }),
  );
  const removes = [...text.matchAll(/^(?:Remv|Purg) (\S+)/gm)].map(([, name = ""]) => name);
  return { changes, removes };
}

/** Another apt or dpkg works there. */
export const LOCKED =
  /could not get lock|unable to acquire the dpkg frontend lock|locked by another process/i;

/** What apt-get says, and what it means for who has to mend it; the first that fits. */
const MEANINGS: readonly [RegExp, string][] = [
  [
    LOCKED,
    "another program installs packages there: wait for its end (ps -ef | grep -E 'apt|dpkg')",
  ],
  [
    /failed to fetch|could not resolve|unable to fetch|could not connect|temporary failure/i,
    "an archive can't be reached, or has other versions by now: look at the network, its proxy and /etc/apt",
  ],
  [
    /Version '[^']*' for '[^']*' was not found/,
    "the archive has another version by now: the same command again plans anew",
  ],
  [/no space left|don't have enough free space/i, "there is no room on its disk"],
  [
    /packages need to be removed but remove is disabled/i,
    "it would remove packages: upgrade that server by hand",
  ],
  [/held packages were changed/i, "a package that it needs is held: apt-mark showhold"],
  [/not signed|NO_PUBKEY|EXPKEYSIG|couldn't be verified/i, "the archive's signature isn't known"],
  [/unmet dependencies|broken packages/i, "its packages don't fit together: apt-get -f install"],
  [
    /dpkg was interrupted|sub-process .*dpkg returned an error/i,
    "dpkg failed: dpkg --configure -a there says why",
  ],
];

/** What is wrong, in words for people: the meaning, then apt's own first error. */
export function explainApt(said: string): string {
  const all = said.split("\n").map((line) => line.trim());
  const lines = all.filter((line) => /^(?:E|Err|dpkg|W)[: ]/.test(line));
  const errors = lines.filter((line) => !line.startsWith("W"));
  const first = (errors[0] ?? lines[0] ?? all.findLast((line) => line !== "") ?? "").slice(0, 300);
  const [, meaning] = MEANINGS.find(([pattern]) => pattern.test(said)) ?? [];
  return meaning === undefined ? first : `${meaning} (${first.replace(/^E: /, "")})`;
}
