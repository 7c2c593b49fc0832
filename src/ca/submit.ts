// A request comes in: refused, left to wait, or signed at once. What the cluster already has of the
// name is compared in the transaction, so of eight requests for one name one is taken.

import { randomBytes } from "node:crypto";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { decideAutosign } from "./autosign.ts";
import type { Touched } from "./mirror.ts";
import type { PolicyProgram } from "./policy-program.ts";
import { readRequest, refuseRequest, refuseSubmission, type ReadRequest } from "./policy.ts";
import { encodeValue, nameKey, requestKey, type RequestValue } from "./record.ts";
import {
  type Issued,
  type Judge,
  lookAt,
  type Seen,
  type Signer,
  signIncoming,
  unchangedSince,
} from "./sign.ts";
import { sourceOf } from "./source.ts";
import { isUnreachable } from "./store.ts";

const TRIES_MAX = 20;
/**
 * Requests that wait at most, in the whole cluster: anybody may send one, and each takes up to 64
 * kilobytes of the record. Requests that come at the same moment may pass it by a few.
 */
export const WAITING_MAX = 5000;
/** Of one source, see sourceOf: a single host must not take all the room that there is. */
export const WAITING_OF_ONE_MAX = 1000;

export interface Submission {
  pem: string;
  /** The name in the URL. */
  key: string;
  source?: string;
  /**
   * Aborts when the sender has gone. An edge whose server hung has asked another one by then; what
   * that gave may be revoked and cleaned when this one goes on, and must not come back.
   */
  signal?: AbortSignal;
}

export type Submitted =
  | { outcome: "signed"; issued: Issued }
  | { outcome: "waiting"; revision: number; touched: Touched }
  /** `kept`: refused, but it waits for an administrator all the same, as in Puppet Server. */
  | { outcome: "refused"; because: string; kept?: { revision: number; touched: Touched } };

export interface SubmitDeps extends Judge {
  log: Log;
  program: PolicyProgram;
  /** What signs; when it throws, the request waits instead of being signed at once. */
  signer: () => Signer;
}

/** Takes the request in. Throws Fault `etcd.…`, `ca.busy`. */
export async function submit(deps: SubmitDeps, submission: Submission): Promise<Submitted> {
  const parsed = readRequest(submission.pem);
  if (!parsed.ok) return refused(parsed.because);
  const { read } = parsed;
  const { tables } = deps.store.mirror;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    // From here to the commit others may take the name: it is what was seen that is compared.
    const { because, seen } = await judgeNow(deps, read, submission.key);
    if (because !== undefined) return refused(because);
    const approved = await autosigns(deps, read.certname, submission.pem);
    const reason = approved ? refuseRequest(read, deps.settings, deps.names) : undefined;
    const signer = approved && reason === undefined ? readySigner(deps, read) : undefined;
    if (submission.signal?.aborted === true) return refused("its sender has gone");
    if (signer !== undefined) {
      const issued = await signIncoming(signer, read, seen, submission.signal);
      if (issued !== undefined) return { outcome: "signed", issued };
      continue;
    }
    const full = refuseFull(deps, read.certname, submission.source);
    if (full !== undefined) return refused(full);
    const more = {
      ...(submission.source === undefined ? {} : { source: submission.source }),
      ...(approved && reason === undefined ? { approved } : {}),
    };
    const kept = await keep(deps, read, { seen, more }, submission.signal);
    if (kept === undefined) continue;
    return reason === undefined
      ? { outcome: "waiting", ...kept }
      : { outcome: "refused", because: reason, kept };
  }
  const { certname } = read;
  if (tables.names.has(certname) || tables.requests.has(certname)) {
    return refused(duplicateText(deps, certname));
  }
  throw new Fault("ca.busy", `${certname} was changed ${TRIES_MAX} times in between: try again`);
}

/** Whether it is signed unasked. Members' names never are. */
async function autosigns(deps: SubmitDeps, certname: string, pem: string): Promise<boolean> {
  if (deps.names.protectedNames.has(certname)) return false;
  const { settings, program } = deps;
  const { sign, warnings } = await decideAutosign(settings.autosign, { certname, pem }, program);
  for (const warning of warnings) deps.log.warn(warning);
  return sign;
}

/** What signs now; undefined when this server may not. */
function readySigner(deps: SubmitDeps, { certname }: ReadRequest): Signer | undefined {
  try {
    return deps.signer();
  } catch (error) {
    const why = messageOf(error);
    deps.log.warn(`${certname} waits for a server that can sign it`, { why });
    return undefined;
  }
}

async function keep(
  deps: Judge,
  { certname, pem }: ReadRequest,
  { seen, more }: { seen: Seen; more: Pick<RequestValue, "source" | "approved"> },
  signal?: AbortSignal,
) {
  const value: RequestValue = {
    id: randomBytes(8).toString("hex"),
    pem,
    at: isoTime(wallMs()),
    ...more,
  };
  const put = { put: requestKey(certname), value: encodeValue(value) };
  const done = await deps.store.commit(
    {
      when: unchangedSince(seen, certname),
      then: [put],
      settle: { key: put.put, value: put.value },
    },
    signal,
  );
  return done.ok ? { revision: done.revision, touched: done.touched } : undefined;
}

/**
 * Why the request may not even wait, and what that rests on. What memory has of the name may be
 * what another server has cleaned a moment ago, so it is asked for once more before anybody is
 * refused for it.
 */
async function judgeNow(
  deps: Judge,
  read: ReadRequest,
  key: string,
): Promise<{ because: string | undefined; seen: Seen }> {
  const { certname } = read;
  if (refuseDuplicate(deps, certname) !== undefined) {
    const keys = [nameKey(certname), requestKey(certname)];
    await deps.store.refresh(keys, { polling: true }).catch((error: unknown) => {
      // Without etcd the newest that is known here is still an answer.
      if (!isUnreachable(error)) throw error;
    });
  }
  const seen = lookAt(deps.store.mirror, certname);
  return { because: refuseDuplicate(deps, certname) ?? refuseSubmission(read, key), seen };
}

function refuseFull({ store }: Judge, certname: string, source?: string): string | undefined {
  const { requests } = store.mirror.tables;
  if (requests.has(certname)) return undefined;
  const remedy = "as many as may: sign or remove some of them first";
  if (requests.size >= WAITING_MAX) return `${requests.size} requests wait already, ${remedy}`;
  if (source === undefined || requests.size < WAITING_OF_ONE_MAX) return undefined;
  const from = sourceOf(source);
  const rows = [...requests.rows()];
  const ofOne = rows.filter((row) => sourceOf(row.source ?? "") === from).length;
  if (ofOne < WAITING_OF_ONE_MAX) return undefined;
  return `${ofOne} requests from ${from} wait already, ${remedy}`;
}

function refuseDuplicate(deps: Judge, certname: string): string | undefined {
  if (deps.settings.allowDuplicateCerts) return undefined;
  const { names, requests } = deps.store.mirror.tables;
  const there = names.has(certname) || requests.has(certname);
  return there ? duplicateText(deps, certname) : undefined;
}

function duplicateText(deps: Judge, certname: string): string {
  const { names, revoked } = deps.store.mirror.tables;
  const serial = names.get(certname)?.serial;
  const state = serial === undefined ? "requested" : revoked.has(serial) ? "revoked" : "signed";
  return `${certname} already has a ${state} certificate; ignoring certificate request`;
}

function refused(because: string): Submitted {
  return { outcome: "refused", because };
}
