// What people take back from the authority: revoke, clean, forget. The idea: a name may be renewed
// while it is revoked, so it is looked at again until a look finds nothing left to do.

import { Fault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { wallMs } from "../host/clock.ts";
import { isCertname } from "./certname.ts";
import type { Core } from "./core.ts";
import { wasGivenBefore } from "./given.ts";
import { lookUp, lookUpSerials } from "./look-up.ts";
import { alone, copiesOf, type Outcome, type Result } from "./outcome.ts";
import { ensureKnown } from "./reconcile.ts";
import { nameKey, requestKey } from "./record.ts";
import type { Recorded } from "./revoke.ts";
import type { Serial } from "./serial.ts";
import { unchanged } from "./store.ts";

/**
 * How long the CRL waits for the edges, milliseconds. Building one of 50,000 entries takes its
 * time, and until they refuse it the certificate gets in; an edge that is gone must not hold it up.
 */
const EDGES_FIRST_MS = 1000;
/** Attempts at a removal or a revocation while other servers change the same name. */
const TRIES_MAX = 20;
/** Names forgotten in one transaction: two operations each, and a foreign etcd allows 128. */
const FORGET_AT_ONCE = 50;
const FOR_CHANGE = { forChange: true };

/** What is to be revoked. */
export interface Revoke {
  names?: readonly string[];
  serials?: readonly Serial[];
  /** Whether it may be what a member of the cluster is known by. */
  ofMembers?: boolean;
}

/**
 * Revokes by name (its certificate, and older ones still in force) or by serial. Throws Fault
 * `ca.member-certificate`.
 */
export async function revokeCertificates(core: Core, what: Revoke): Promise<Outcome> {
  const { tables } = core.mirror;
  if (what.ofMembers !== true) refuseMembers(core, what);
  await lookUpSerials(core, what.serials ?? [], FOR_CHANGE);
  const known = (what.serials ?? []).filter(
    (serial) => tables.certs.has(serial) || wasGivenBefore(core.mirror, core.issuer(), serial),
  );
  const all = new Set(known);
  const bySerial = known.length === 0 ? undefined : await core.revoker.revoke(known);
  const byName = await revokeNames(core, [...new Set(what.names)], all);
  const { revision, touched } = newestOf(bySerial, byName.recorded);
  const results = [
    ...byName.results,
    ...(what.serials ?? []).map((serial) =>
      revokeResult(serial, all.has(serial) ? [serial] : [], false),
    ),
  ];
  if (all.size === 0) return { results, ...alone(core) };
  // Also when nothing was left to do: what is answered must hold on the second server and the
  // edges.
  const edges = core.deps.confirmEdges([...all]);
  edges.catch(() => undefined);
  await atMost(EDGES_FIRST_MS, edges);
  if (touched !== undefined) await core.publisher.publish(touched);
  const copies = await copiesOf(core, Math.max(revision, core.mirror.revision));
  return { results, ...copies, edges: await edges };
}

/** A server whose certificate is revoked is refused by every agent that has the new CRL. */
function refuseMembers({ deps, mirror }: Core, { names = [], serials = [] }: Revoke): void {
  const { names: given } = mirror.tables;
  const isAsked = (member: string) => {
    const serial = given.get(member)?.serial;
    return names.includes(member) || (serial !== undefined && serials.includes(serial));
  };
  const member = [...deps.memberNames()].find(isAsked);
  if (member === undefined) return;
  throw new Fault(
    "ca.member-certificate",
    `${member} is a member, and agents would refuse it without its certificate: nothing was revoked`,
    {
      hints: [
        "A new certificate for a server, on that server: understudy ca reissue",
        `To take it out, which revokes its certificate: understudy member remove ${member}`,
      ],
    },
  );
}

/** Each has the CRL's number among what it touched, so the newest one stands for all. */
function newestOf(...all: (Recorded | undefined)[]): Recorded {
  const nothing: Recorded = { revision: 0, touched: undefined };
  return all.reduce<Recorded>(
    (newest, one) => (one !== undefined && one.revision > newest.revision ? one : newest),
    nothing,
  );
}

/** Waits for `work`, but no longer than `ms`. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work.catch(() => undefined), pause(ms, over.signal)]);
  over.abort();
}

/**
 * Revokes what these names have, and adds the serials to `all`. A renewal may come in between two
 * looks; what it made is found by the next one. A look counts only when memory has all that the
 * names were given before it: `lookUp` brings the newest certificate, and older ones are in force
 * too.
 */
async function revokeNames(core: Core, names: readonly string[], all: Set<Serial>) {
  const { requests } = core.mirror.tables;
  /** What each name had: of a forgotten one no later look finds what is revoked by then. */
  const ended = new Map<string, readonly Serial[]>();
  let recorded: Recorded | undefined;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    await lookUp(core, names, FOR_CHANGE);
    await ensureKnown(core, newestChange(core, names, recorded));
    const found = names.map((name) => ({
      name,
      serials: isCertname(name) ? serialsToRevoke(core, name) : [],
    }));
    for (const { name, serials } of found) if (serials.length > 0) ended.set(name, serials);
    const left = found.flatMap(({ serials }) => serials.filter((serial) => !all.has(serial)));
    if (left.length === 0) {
      const results = names.map((name) =>
        revokeResult(name, ended.get(name) ?? [], requests.has(name)),
      );
      return { recorded, results };
    }
    recorded = newestOf(recorded, await core.revoker.revoke(left));
    for (const serial of left) all.add(serial);
  }
  throw new Fault("ca.busy", "what is to be revoked keeps being renewed: try again");
}

/** The newest revision known to have changed one of `names`, or `recorded` something. */
function newestChange({ mirror }: Core, names: readonly string[], recorded?: Recorded): number {
  const given = mirror.tables.names;
  return names.reduce(
    (newest, name) => Math.max(newest, given.revisionOf(name)),
    recorded?.revision ?? 0,
  );
}

/** The serials that "revoke this name" means: its certificate, and older ones still in force. */
function serialsToRevoke({ mirror }: Core, name: string): Serial[] {
  const { names, certs, revoked } = mirror.tables;
  const current = names.get(name)?.serial;
  const now = wallMs();
  return mirror.serialsOf(name).filter((serial) => {
    const inForce = (certs.get(serial)?.notAfterMs ?? 0) > now;
    return serial === current || (inForce && !revoked.has(serial));
  });
}

/**
 * Revokes and forgets the names, so that they can be requested anew. `requests`: what waits for
 * them is forgotten too, but for what comes in meanwhile.
 */
export async function cleanNames(
  core: Core,
  names: readonly string[],
  { requests: also = false } = {},
): Promise<Outcome> {
  const { names: given, requests } = core.mirror.tables;
  if (also) await lookUp(core, names, FOR_CHANGE);
  const asked = new Map(names.map((name) => [name, also ? requests.revisionOf(name) : 0]));
  const outcome = await revokeCertificates(core, { names });
  const removed = new Set<string>();
  let revision = 0;
  for (let at = 0; at < outcome.results.length; at += FORGET_AT_ONCE) {
    const some = outcome.results.slice(at, at + FORGET_AT_ONCE);
    const done = await removeKeys(core, () =>
      some.flatMap(({ name, serial }) => [
        // Only the certificate that was revoked: a newer one of the same name stays.
        ...(serial !== undefined && given.get(name)?.serial === serial
          ? [{ key: nameKey(name), revision: given.revisionOf(name) }]
          : []),
        ...(requests.revisionOf(name) === asked.get(name)
          ? [{ key: requestKey(name), revision: requests.revisionOf(name) }]
          : []),
      ]),
    );
    for (const key of done.keys) removed.add(key);
    revision = Math.max(revision, done.revision);
  }
  const results = outcome.results.map((result): Result => {
    const { name, ok } = result;
    return ok || !removed.has(requestKey(name)) ? result : { name, ok: true, because: "" };
  });
  return { ...outcome, results, ...(revision > 0 && (await copiesOf(core, revision))) };
}

/** Forgets a name's certificate and request without revoking. False: there was nothing. */
export async function forgetName(
  core: Core,
  name: string,
  what: "all" | "request",
): Promise<boolean> {
  if (!isCertname(name)) return false;
  const { requests, names } = core.mirror.tables;
  await lookUp(core, [name], FOR_CHANGE);
  const { revision } = await removeKeys(core, () => {
    const request = { key: requestKey(name), revision: requests.revisionOf(name) };
    const certificate = { key: nameKey(name), revision: names.revisionOf(name) };
    return what === "all" ? [request, certificate] : [request];
  });
  await copiesOf(core, revision);
  return revision > 0;
}

/**
 * Deletes keys as they are now; tries again when one of them changed meanwhile. Returns those that
 * were there, and the revision that took them; 0: none was.
 */
async function removeKeys(
  { store, publisher }: Core,
  wanted: () => { key: string; revision: number }[],
): Promise<{ revision: number; keys: string[] }> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const there = wanted().filter(({ revision }) => revision > 0);
    if (there.length === 0) return { revision: 0, keys: [] };
    const done = await store.commit({
      when: there.map(({ key, revision }) => unchanged(key, revision)),
      then: there.map(({ key }) => ({ delete: key })),
    });
    if (!done.ok) continue;
    await publisher.publish(done.touched);
    return { revision: done.revision, keys: there.map(({ key }) => key) };
  }
  throw new Fault("ca.busy", "what is to be removed keeps changing: try again");
}

function revokeResult(name: string, serials: readonly Serial[], waits: boolean): Result {
  const serial = serials.at(-1);
  if (serial !== undefined) return { name, ok: true, because: "", serial };
  if (!waits) return { name, ok: false, why: "unknown", because: "there is no such certificate" };
  const because = `Cannot revoke certificate for host ${name} without a signed certificate`;
  return { name, ok: false, why: "no-certificate", because };
}
