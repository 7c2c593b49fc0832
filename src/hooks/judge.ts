// Which files in the folder of hooks are run. Pure. What others than root may change would let them
// act as whoever runs it, so it isn't run, and that is said.

/** A file as lstat(2) shows it. */
export interface HookFile {
  name: string;
  kind: "file" | "folder" | "link" | "other";
  uid: number;
  /** Permission bits. */
  mode: number;
}

export type HookVerdict = { runs: true } | { runs: false; because: string };

/** Files that are run at most, by name. */
export const HOOKS_MAX = 32;

/** Left by editors and packages: not meant to be run, and nothing to be said of. */
export function isForeign(name: string): boolean {
  return name.startsWith(".") || name === "README" || /(~|\.(dpkg-\w+|bak|swp|rpm\w+))$/.test(name);
}

/** Whether the folder may be trusted; empty: it may. `owner`: who must have it, root's uid. */
export function judgeFolder(folder: Omit<HookFile, "name">, owner: number): string {
  if (folder.kind !== "folder") return "it is no folder";
  return judgeRights(folder, owner);
}

export function judgeHook(file: HookFile, owner: number): HookVerdict {
  const because = whyNot(file, owner);
  return because === "" ? { runs: true } : { runs: false, because };
}

function whyNot(file: HookFile, owner: number): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(file.name)) {
    return "its name has more than letters, digits, and . _ -";
  }
  if (file.kind === "link") return "it is a link: what it leads to may be anybody's";
  if (file.kind !== "file") return "it is no plain file";
  const rights = judgeRights(file, owner);
  if (rights !== "") return rights;
  return (file.mode & 0o111) === 0o111 ? "" : "not everybody may execute it: chmod 0755";
}

function judgeRights({ uid, mode }: Pick<HookFile, "uid" | "mode">, owner: number): string {
  if (uid !== owner) return `it is owned by uid ${uid}, not by root`;
  return (mode & 0o022) === 0 ? "" : "others than root may write to it: chmod 0755";
}
