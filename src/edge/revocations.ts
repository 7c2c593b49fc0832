// Revoked certificates at this edge: a file that HAProxy reads when it starts, and the same list in
// the memory of every worker. The idea: the file comes first, so that a worker which starts
// meanwhile has read it; then each worker is told and asked; a former one that does not confirm is
// ended. Danger: the file must never lose a line, so it is only ever added to at its end, since an
// edge that starts adds to it beside the daemon; a line that was torn must name no other
// certificate; and a key becomes part of a command line to HAProxy, so each is checked first.

import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault, messageOf } from "../base/fault.ts";
import { makeFolder, readIfThere, syncFolder } from "../host/files.ts";
import { edgePaths } from "./config.ts";
import { REVOCATION_KEY } from "./identity.ts";
import { type EdgeRuntime, isSilent } from "./runtime.ts";

/** Commands in one line to a worker: HAProxy reads a line into one buffer. */
const COMMANDS_MAX = 500;

/** From this many keys on, the whole list is read back rather than key by key. */
const SINGLE_KEYS_MAX = 200;

/** How often workers are listed for one set of keys: each reload meanwhile takes another look. */
const ROUNDS_MAX = 10;

/** What came of telling every worker. */
export interface Confirmation {
  /**
   * How many workers there are; 0 when HAProxy doesn't run: whoever starts it later reads the file.
   */
  workers: number;
  /** Whether every worker that is left refuses all of the keys, and the next one will. */
  confirmed: boolean;
  /** Former workers that were ended because they did not confirm. */
  ended: number[];
  /** Why not, when not confirmed. */
  because: string;
}

const FILE_MODE = 0o644;

/** Makes a line that was torn, by a power cut perhaps, one that names no certificate. */
const TORN_END = "~\n";

/** By file: so that nobody here adds a key twice. */
const writing = new Map<string, Promise<unknown>>();

/**
 * Adds `keys` (`revocationKey`) to the file in `stateDir`, durably. Returns how many were new.
 * Throws Fault `edge.revocation-key`, and then has added none.
 */
export async function addRevokedToFile(stateDir: string, keys: readonly string[]): Promise<number> {
  const path = edgePaths({ stateDir, runDir: "" }).revoked;
  const before = writing.get(path) ?? Promise.resolve();
  const mine = before.catch(() => undefined).then(async () => addTo(path, stateDir, keys));
  writing.set(path, mine);
  return mine;
}

async function addTo(path: string, stateDir: string, keys: readonly string[]): Promise<number> {
  requireKeys(keys);
  const text = await readIfThere(path);
  // What follows the last line was torn, and may look like another certificate's key.
  const lines = (text ?? "").slice(0, (text ?? "").lastIndexOf("\n") + 1);
  const known = parseRevoked(lines);
  const fresh = new Set(keys.filter((key) => !known.has(key)));
  if (fresh.size === 0 && text !== undefined) return 0;
  await makeFolder(stateDir);
  const torn = text !== undefined && text !== lines;
  await append(path, `${torn ? TORN_END : ""}${[...fresh].map((key) => `${key}\n`).join("")}`);
  return fresh.size;
}

/** Adds `text` in one go, which no other process's comes into the middle of, durably. */
async function append(path: string, text: string): Promise<void> {
  const file = await open(path, "a", FILE_MODE);
  try {
    // Whatever the umask: HAProxy reads it.
    await file.chmod(FILE_MODE);
    const bytes = Buffer.from(text);
    const { size } = await file.stat();
    const { bytesWritten } = await file.write(bytes);
    if (bytesWritten < bytes.length) {
      // HAProxy would read the torn key, and there is no room to end it. Others' are never taken.
      const whole = bytes.subarray(0, bytesWritten).lastIndexOf("\n") + 1;
      if ((await file.stat()).size === size + bytesWritten) await file.truncate(size + whole);
      throw new Error(`the disk took ${bytesWritten} of ${bytes.length} bytes`);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(dirname(path));
}

/** Throws Fault `edge.revocation-key`. */
function requireKeys(keys: readonly string[]): void {
  const wrong = keys.find((key) => !REVOCATION_KEY.test(key));
  if (wrong === undefined) return;
  throw new Fault("edge.revocation-key", `"${wrong}" names no certificate: nothing is refused`);
}

/** The keys in the file at `path`; none when there is no file. */
export async function readRevoked(path: string): Promise<Set<string>> {
  return parseRevoked((await readIfThere(path)) ?? "");
}

function parseRevoked(text: string): Set<string> {
  return new Set(text.split("\n").filter((line) => REVOCATION_KEY.test(line)));
}

/**
 * Makes this edge refuse `keys`: the file first, then every worker, each of which is asked whether
 * it does. Safe to repeat. Without room for the file the workers are told all the same, but then it
 * isn't confirmed, since the next HAProxy wouldn't know. Throws Fault `edge.revocation-key`.
 */
export async function confirmRevoked(
  runtime: EdgeRuntime,
  stateDir: string,
  keys: readonly string[],
  end: (pid: number) => void = kill,
): Promise<Confirmation> {
  requireKeys(keys);
  const unwritten = await addRevokedToFile(stateDir, keys).then(() => "", messageOf);
  const told = await tellWorkers(runtime, keys, end);
  if (unwritten === "") return told;
  const because = `the list of revocations can't be written: ${unwritten}`;
  return { ...told, confirmed: false, because: told.confirmed ? because : told.because };
}

/**
 * Lists the workers again after each round, since a reload makes a former worker of one that is
 * just being asked: done when every one that is listed has confirmed or was ended.
 */
async function tellWorkers(
  runtime: EdgeRuntime,
  keys: readonly string[],
  end: (pid: number) => void,
): Promise<Confirmation> {
  const settled = new Set<number>();
  const failed = new Set<number>();
  const ended: number[] = [];
  const outcome = (because: string): Confirmation => {
    const workers = new Set([...settled, ...failed]).size;
    return { workers, confirmed: because === "", ended, because };
  };
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const workers = await runtime.workers().catch(() => undefined);
    if (workers === undefined) return outcome("HAProxy's master does not answer");
    const open = workers.filter(({ pid }) => !settled.has(pid));
    if (open.length === 0) return outcome("");
    for (const { pid, former } of open) {
      let silent = false;
      const missing = await tellWorker(runtime, pid, keys).catch((error: unknown) => {
        silent = isSilent(error);
        return keys.length;
      });
      if (missing === 0) {
        settled.add(pid);
        continue;
      }
      // Once may be a reload, which takes the master's socket away for a moment.
      const isFirst = !failed.has(pid);
      failed.add(pid);
      if (isFirst && !(former && silent)) continue;
      if (!former) return outcome(`worker ${pid} does not confirm ${missing} of ${keys.length}`);
      end(pid);
      ended.push(pid);
      settled.add(pid);
    }
  }
  return outcome("HAProxy's workers come and go");
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended on its own.
  }
}

/** How many of `keys` the worker does not refuse even after it was told. */
async function tellWorker(
  runtime: EdgeRuntime,
  pid: number,
  keys: readonly string[],
): Promise<number> {
  const path = runtime.paths.revoked;
  // Adding one that is there already would make a second entry of it.
  const absent = await absentAt(runtime, pid, keys);
  for (let at = 0; at < absent.length; at += COMMANDS_MAX) {
    const some = absent.slice(at, at + COMMANDS_MAX);
    await runtime.askWorker(
      pid,
      some.map((key) => `add acl ${path} ${key}`),
    );
  }
  return absent.length === 0 ? 0 : (await absentAt(runtime, pid, absent)).length;
}

async function absentAt(
  runtime: EdgeRuntime,
  pid: number,
  keys: readonly string[],
): Promise<string[]> {
  const path = runtime.paths.revoked;
  const listed =
    keys.length > SINGLE_KEYS_MAX
      ? parseList(await runtime.askWorker(pid, [`show acl ${path}`]))
      : parseMatches(
          await runtime.askWorker(
            pid,
            keys.map((key) => `get acl ${path} ${key}`),
          ),
        );
  return keys.filter((key) => !listed.has(key));
}

/** The patterns of `show acl`: an address and a pattern a line. */
export function parseList(text: string): Set<string> {
  return new Set([...text.matchAll(/^0x[0-9a-f]+ (\S+)$/gm)].map((match) => match[1] ?? ""));
}

/** The patterns that `get acl` found. */
export function parseMatches(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/match=yes,.* pattern="([^"]*)"/g)].map((match) => match[1] ?? ""),
  );
}
