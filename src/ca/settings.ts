// What the administrator lets the authority do: from puppet.conf and ca.conf, given by the daemon.
// Only what decides about certificates is here; everything else of those files isn't ours.

import { parseDuration } from "../base/duration.ts";
import { Fault } from "../base/fault.ts";
import type { Autosign } from "./autosign.ts";
import { parseHocon, type HoconObject } from "./hocon.ts";

export interface CaSettings {
  autosign: Autosign;
  allowDuplicateCerts: boolean;
  allowSubjectAltNames: boolean;
  allowAuthorizationExtensions: boolean;
  /** Seconds that a certificate lasts from its signing. */
  caTtlSeconds: number;
  /** Whether agents may have their certificates renewed by themselves (Puppet 8's agents ask). */
  allowAutoRenewal: boolean;
  /** Seconds that a renewed certificate lasts, and the first one of an agent that will renew it. */
  autoRenewalTtlSeconds: number;
}

/** Puppet's own defaults, with no autosign. */
export const CA_SETTINGS_DEFAULT: CaSettings = {
  autosign: false,
  allowDuplicateCerts: false,
  allowSubjectAltNames: false,
  allowAuthorizationExtensions: false,
  caTtlSeconds: 157_680_000,
  allowAutoRenewal: false,
  autoRenewalTtlSeconds: 90 * 86_400,
};

/** The longest life of a certificate in seconds; stock Puppet Server does not start with more. */
export const TTL_SECONDS_MAX = 1_576_800_000;

/**
 * Seconds that certificates last by the setting `name`. Throws Fault `ca.conf` for what stock
 * Puppet Server doesn't start with, and for no time at all.
 */
export function checkTtl(name: string, ttlSeconds: number): number {
  if (ttlSeconds >= 1 && ttlSeconds <= TTL_SECONDS_MAX) return ttlSeconds;
  const rule = `certificates may last 1 to ${TTL_SECONDS_MAX} seconds`;
  throw new Fault("ca.conf", `${name} comes to ${ttlSeconds} seconds: ${rule}`);
}

/**
 * What the text of ca.conf says, of the settings that it has; others keep theirs.
 * Throws Fault `ca.conf` when it can't be understood or followed, Fault `base.duration` for a bad
 * duration.
 */
export function readCaConf(text: string): Partial<CaSettings> {
  const section = sectionOf(text);
  return {
    ...flag(section, "allow-subject-alt-names", "allowSubjectAltNames"),
    ...flag(section, "allow-authorization-extensions", "allowAuthorizationExtensions"),
    ...flag(section, "allow-auto-renewal", "allowAutoRenewal"),
    ...seconds(section, "ca-ttl", "caTtlSeconds"),
    ...seconds(section, "auto-renewal-cert-ttl", "autoRenewalTtlSeconds"),
  };
}

/**
 * Whether stock's CA gives agents a list of revoked servers only, by this ca.conf. Throws as
 * readCaConf does.
 */
export function usesInfraCrl(text: string): boolean {
  return sectionOf(text)["enable-infra-crl"] === "true";
}

function sectionOf(text: string): HoconObject {
  const section = parseHocon(text)["certificate-authority"];
  return section === undefined || typeof section === "string" || Array.isArray(section)
    ? {}
    : section;
}

function seconds(section: HoconObject, key: string, name: keyof CaSettings): Partial<CaSettings> {
  const value = section[key];
  return typeof value === "string" ? { [name]: checkTtl(key, parseDuration(value)) } : {};
}

function flag(section: HoconObject, key: string, name: keyof CaSettings): Partial<CaSettings> {
  const value = section[key];
  return value === undefined ? {} : { [name]: value === "true" };
}
