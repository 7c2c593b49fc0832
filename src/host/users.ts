// Numeric ids of system users, as the system knows them now.

import { tryRun } from "./process.ts";

export interface Owner {
  uid: number;
  gid: number;
}

/** The ids of `user` with its own or the named group; undefined when there is no such user. */
export async function findOwner(user: string, group?: string): Promise<Owner | undefined> {
  const passwd = await tryRun(["getent", "passwd", user]);
  const [, , uid, gid] = passwd.stdout.split(":");
  if (!passwd.ok || uid === undefined || gid === undefined) return undefined;
  if (group === undefined) return { uid: Number(uid), gid: Number(gid) };
  const named = await tryRun(["getent", "group", group]);
  const [, , groupId] = named.stdout.split(":");
  if (!named.ok || groupId === undefined) return undefined;
  return { uid: Number(uid), gid: Number(groupId) };
}
