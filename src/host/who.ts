// Who gives a command: for the record and for those who read it later, not for any right.

import { readIfThere } from "./files.ts";
import { tryRun } from "./process.ts";

const UNSET = "4294967295";

/** The user who became root (sudo, su, a login), else "root". */
export async function readWho(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { SUDO_USER: user } = env;
  if (user !== undefined && isName(user)) return user;
  const uid = (await readIfThere("/proc/self/loginuid").catch(() => undefined))?.trim();
  if (uid === undefined || !/^\d+$/.test(uid) || uid === UNSET) return "root";
  const passwd = await tryRun(["getent", "passwd", uid]).catch(() => undefined);
  const name = passwd?.stdout.split(":")[0] ?? "";
  return isName(name) ? name : "root";
}

function isName(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$/.test(text);
}
