// The certificate authority as this server runs it, and the commands' view of it.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { type Ca, createCa } from "../ca/authority.ts";
import { readHandedOver } from "../ca/handed-over.ts";
import { createPolicyProgram, policyPrefix, rubyEnvironment } from "../ca/policy-program.ts";
import type { Copies, EdgeReport } from "../ca/outcome.ts";
import { CA_SETTINGS_DEFAULT, type CaSettings, checkTtl, readCaConf } from "../ca/settings.ts";
import { META_KEY } from "../cluster/keys.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { LocalStatus } from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import type { Etcd } from "../etcd/types.ts";
import { readIfThere } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import type { PuppetLayout, PuppetSettings } from "../host/puppet-layout.ts";
import { caLayout } from "../ca/layout.ts";
import { parseRequest, verifyRequest } from "../x509/request.ts";
import type { Copier } from "./copies.ts";

/** A server's own certificate lasts as long as `puppetserver ca setup` has it: 15 years. */
const SERVER_TTL_SECONDS = 15 * 31_536_000;

/** Keys and files that status names at most. */
const NAMED_MAX = 100;
/** How long a change waits for the first reading of the cluster's record, milliseconds. */
const VIEW_MS = 3000;

export interface CaHost {
  etcd: Etcd;
  node: NodeFile;
  layout: PuppetLayout;
  owner: { uid: number; gid: number } | undefined;
  keeper: ViewKeeper;
  copier: Copier;
  confirmEdges(serials: readonly string[]): Promise<EdgeReport>;
  onCrl(): void;
  clockOffsetMs(): number | undefined;
  log: Log;
}

/** Starts this server's CA with Puppet's own settings files. */
export async function startCa(host: CaHost): Promise<Ca> {
  const { etcd, node, layout, keeper, copier, log } = host;
  const settings = await readSettings(layout);
  const environment = await readRubyEnvironment(layout, log);
  const handedOver = await readHandedOver(node.clusterId);
  return createCa({
    etcd,
    log,
    member: node.id,
    cadir: layout.cadir,
    hostCrlPath: layout.hostcrl,
    scratch: PATHS.state,
    settings: () => settings,
    protectedNames: () => [
      node.sharedName,
      ...(keeper.current()?.settings.otherNames ?? []),
      ...(keeper.current()?.members ?? []).flatMap((member) => [member.id, member.address]),
    ],
    memberNames: () => [node.id, ...(keeper.current()?.members ?? []).map(({ id }) => id)],
    confirmCopies: async (revision): Promise<Copies> => copier.confirm(revision),
    confirmEdges: async (serials) => host.confirmEdges(serials),
    clockOffsetMs: () => host.clockOffsetMs(),
    hasOthers: () => keeper.current()?.members.some(({ id }) => id !== node.id) ?? false,
    guard: async () => {
      await copier.trust();
      return [{ key: META_KEY, value: await metaText(keeper) }];
    },
    copy: copier.journal,
    onCrl: () => host.onCrl(),
    program: createPolicyProgram({
      prefix: policyPrefix({
        user: layout.puppetserver.user,
        group: layout.puppetserver.group,
        environmentFile: layout.puppetserver.defaultsFile,
        environment,
      }),
    }),
    ...(layout.versions.puppet === undefined ? {} : { puppetVersion: layout.versions.puppet }),
    ...(host.owner === undefined ? {} : { owner: host.owner }),
    ...(handedOver && { handedOver }),
  });
}

/** The record's meta as this member knows it; a start has a moment to read it. */
async function metaText(keeper: ViewKeeper): Promise<string> {
  const known = () => keeper.current()?.metaText;
  try {
    return await until("the cluster's record", () => known() || undefined, { withinMs: VIEW_MS });
  } catch {
    throw new Fault("cluster.no-record", "this member has not read the cluster's record yet", {
      hints: [keeper.record().because],
    });
  }
}

/** Signs a member's Puppet certificate: it may run `puppetserver ca`, and answers to `altNames`. */
export async function signMember(
  ca: Ca,
  layout: PuppetLayout,
  request: { pem: string; id: string; altNames: string[] },
): Promise<{ certificate: string; bundle: string; crl: string }> {
  const parsed = parseRequest(request.pem);
  if (!verifyRequest(parsed) || parsed.commonName !== request.id) {
    throw new Fault("join.malformed", `the Puppet certificate request isn't ${request.id}'s own`);
  }
  const { pem: certificate } = await ca.signServerCertificate({
    certname: request.id,
    spkiDer: parsed.spkiDer,
    altNames: request.altNames,
    ttlSeconds: SERVER_TTL_SECONDS,
  });
  const files = caLayout(layout.cadir);
  const [bundle, crl] = await Promise.all([
    readFile(files.bundle, "utf8"),
    readFile(files.crl, "utf8"),
  ]);
  return { certificate, bundle, crl };
}

/** The CA's part of this member's status. */
export function caStatus(ca: Ca): NonNullable<LocalStatus["ca"]> {
  const { serving, because, requests, certificates, crlNumber, crlNextUpdate, ...rest } =
    ca.state();
  const { nextExpiry, directoryBehind, directory, unreadable, revocations } = rest;
  const ejected = ca.ejected();
  return {
    serving,
    because,
    requests,
    certificates,
    crlNumber,
    crlNextUpdate,
    revocations,
    directoryBehind,
    unreadable: unreadable.slice(0, NAMED_MAX),
    unknownFiles: directory.unknown.slice(0, NAMED_MAX),
    ...(ejected && {
      ejected: {
        to: ejected.to,
        at: ejected.at,
        alone: ejected.alone,
        handedOver: ca.handedOver() !== undefined,
      },
    }),
    ...(nextExpiry === undefined ? {} : { nextExpiry }),
  };
}

/**
 * ca.conf and puppet's settings, read at the start as stock puppetserver does; an allowlist that
 * `autosign` names is read for every request.
 */
async function readSettings(layout: PuppetLayout): Promise<CaSettings> {
  const text = await readIfThere(join(layout.puppetserver.confD, "ca.conf"));
  return caSettings(layout, text);
}

/** Where puppetserver.conf isn't understood, programs go without: most need nothing of it. */
async function readRubyEnvironment(layout: PuppetLayout, log: Log) {
  const path = join(layout.puppetserver.confD, "puppetserver.conf");
  try {
    return rubyEnvironment((await readIfThere(path)) ?? "");
  } catch (error) {
    const why = messageOf(error);
    log.warn(`${path}: programs that autosign names get no GEM_PATH and RUBYLIB`, { why });
    return {};
  }
}

/**
 * What puppet says, and ca.conf where that says otherwise, as in stock puppetserver. Throws Fault
 * `ca.conf`, `base.duration`.
 */
export function caSettings(
  puppet: Pick<PuppetSettings, "autosign" | "allowDuplicateCerts" | "caTtlSeconds">,
  caConf: string | undefined,
): CaSettings {
  const { autosign, allowDuplicateCerts } = puppet;
  const said = caConf === undefined ? {} : readCaConf(caConf);
  return {
    ...CA_SETTINGS_DEFAULT,
    allowDuplicateCerts,
    ...said,
    caTtlSeconds: said.caTtlSeconds ?? checkTtl("ca_ttl of puppet.conf", puppet.caTtlSeconds),
    autosign: autosign === "true" || autosign === "false" ? autosign === "true" : autosign,
  };
}
