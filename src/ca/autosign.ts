// Whether a request is signed as it comes in: `true`, `false`, or a file, looked at each time: an
// allowlist, or, where it is executable, a program that decides.
// Danger: a line that isn't understood must never allow anybody.

import { constants } from "node:fs";
import { access, open, stat } from "node:fs/promises";
import { isMissing } from "../host/files.ts";
import type { PolicyProgram } from "./policy-program.ts";

/** Longest allowlist in bytes. */
const ALLOWLIST_BYTES_MAX = 8 * 1024 * 1024;

/** `autosign` of puppet.conf: a boolean, or the path of an allowlist or a program. */
export type Autosign = boolean | string;

export interface AutosignVerdict {
  sign: boolean;
  /** What an administrator should know: lines or files that aren't understood. */
  warnings: string[];
}

/**
 * Decides for the request `pem` of `certname`. A file that isn't there signs nothing; one that
 * can't be read neither, with a warning.
 */
export async function decideAutosign(
  autosign: Autosign,
  { certname, pem }: { certname: string; pem: string },
  program: PolicyProgram,
): Promise<AutosignVerdict> {
  if (typeof autosign === "boolean") return { sign: autosign, warnings: [] };
  try {
    const info = await stat(autosign);
    if (!info.isFile()) return no(`${autosign} is no file: nothing is signed by it`);
    if (await isExecutable(autosign, info.mode)) return await program(autosign, certname, pem);
    if (info.size > ALLOWLIST_BYTES_MAX) {
      return no(`${autosign} has ${info.size} bytes, more than ${ALLOWLIST_BYTES_MAX}`);
    }
    const { allowed, invalid } = matchAllowlist(certname, await readText(autosign));
    const warnings = invalid.map(
      (line) => `${autosign}: "${line}" is no name and no domain: ignored`,
    );
    return { sign: allowed, warnings };
  } catch (error) {
    if (isMissing(error)) return { sign: false, warnings: [] };
    return no(`${autosign} can't be read (${String(error)}): nothing is signed by it`);
  }
}

/** Whether a line of `text` names `certname`, and the lines that are neither names nor domains. */
export function matchAllowlist(
  certname: string,
  text: string,
): { allowed: boolean; invalid: string[] } {
  const invalid: string[] = [];
  let allowed = false;
  for (const line of text.split(/\r?\n/)) {
    if (line === "" || line.startsWith("#")) continue;
    if (/[# ]/.test(line)) invalid.push(line.slice(0, 200));
    else if (line === "*" || line === certname) allowed = true;
    else if (line.startsWith("*") && matchesDomain(certname, line)) allowed = true;
  }
  return { allowed, invalid };
}

function matchesDomain(certname: string, glob: string): boolean {
  const labels = certname.toLowerCase().split(".").reverse();
  const wanted = glob.toLowerCase().split(".").slice(1).reverse();
  return wanted.length > 0 && wanted.every((label, index) => labels[index] === label);
}

async function isExecutable(path: string, mode: number): Promise<boolean> {
  if ((mode & 0o111) === 0) return false;
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function readText(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

function no(warning: string): AutosignVerdict {
  return { sign: false, warnings: [warning] };
}
