// Which paths a unit's sandbox lets its program write to. Pure.

/** Reads ReadWritePaths= as systemd shows it: a leading - (may be missing) or + is no part of it. */
export function parseWritable(shown: string): string[] {
  return shown
    .split(/\s+/)
    .map((path) => path.replace(/^[-+]+/, ""))
    .filter((path) => path !== "");
}

/** Whether `path` is `root` or lies below it. */
export function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`);
}
