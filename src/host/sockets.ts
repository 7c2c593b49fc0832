// Who may use a Unix socket: its mode and group.

import { chmod, chown } from "node:fs/promises";

/** Sets mode and, where given, the group of a socket that was just created. */
export async function chmodSocket(
  path: string,
  options: { mode: number; gid?: number },
): Promise<void> {
  if (options.gid !== undefined) await chown(path, 0, options.gid);
  await chmod(path, options.mode);
}
