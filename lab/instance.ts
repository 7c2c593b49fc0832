// Which lab of this machine is meant, and where it keeps its things. There is one, unless
// UNDERSTUDY_LAB_NAME names another: its network is a world of its own, so labs don't meet.
// All of it carries the names below, so that leftovers are told from others' things.

import { join } from "node:path";
import { Fault } from "../src/base/fault.ts";

const NAME = process.env["UNDERSTUDY_LAB_NAME"] ?? "";
if (!/^[a-z0-9]{0,8}$/.test(NAME)) {
  throw new Fault("lab.name", `UNDERSTUDY_LAB_NAME is "${NAME}": up to 8 letters and digits`);
}

const SUFFIX = NAME === "" ? "" : `-${NAME}`;

/** Network namespaces are called PREFIX-net (the switch) and PREFIX-HOST. */
export const PREFIX = `ulab${NAME}`;
/** The group above those of hosts, in every hierarchy of control groups. */
export const GROUP = `understudy-lab${SUFFIX}`;
/** Records of what runs; gone after a reboot of the machine, as the lab is. */
export const STATE_FOLDER = `/run/understudy-lab${SUFFIX}`;
/** Records of every lab of this machine, for who must not take from others. */
export const STATE_FOLDERS = "/run/understudy-lab*";

/** Where bases and disks are: UNDERSTUDY_LAB_DIR or /var/cache/understudy-lab. */
export function labFolder(): string {
  return process.env["UNDERSTUDY_LAB_DIR"] ?? "/var/cache/understudy-lab";
}

/** Where this lab's hosts have their disks, below `folder`. */
export function hostsFolder(folder: string): string {
  return join(folder, `hosts${SUFFIX}`);
}
