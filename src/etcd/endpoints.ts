// Which member is asked first. The idea: the given order, but the last one that answered first and
// those that failed just now last. Nothing here is about correctness, only about waiting less.

import { Fault } from "../base/fault.ts";
import { monotonicMs } from "../host/clock.ts";

const FAILED_IS_LAST_MS = 5000;

export interface Endpoints {
  /** Every endpoint once, the most promising first. Never empty. */
  order(): string[];
  all(): string[];
  set(urls: string[]): void;
  /** Whether no member has served anything since one last failed to. */
  doubtful(): boolean;
  worked(endpoint: string): void;
  failed(endpoint: string, why: string): void;
  /** Calls back when `failed` is told of `endpoint`. Returns what ends that. */
  onFailed(endpoint: string, callback: (why: string) => void): () => void;
}

/** Throws Fault `etcd.endpoints` when there is none, or one that is no http or https URL. */
export function createEndpoints(
  urls: string[],
  options: { now?: () => number; onFailed?: (endpoint: string, why: string) => void } = {},
): Endpoints {
  const now = options.now ?? monotonicMs;
  let all = checked(urls);
  let good: string | undefined;
  let doubt = false;
  const failedAt = new Map<string, number>();
  const listeners = new Map<string, Set<(why: string) => void>>();
  const rank = (endpoint: string): number => {
    const since = now() - (failedAt.get(endpoint) ?? -Infinity);
    if (since < FAILED_IS_LAST_MS) return 2;
    return endpoint === good ? 0 : 1;
  };
  return {
    order: () => all.toSorted((a, b) => rank(a) - rank(b)),
    all: () => [...all],
    set(next) {
      all = checked(next);
      if (good !== undefined && !all.includes(good)) good = undefined;
      for (const gone of [...failedAt.keys()].filter((url) => !all.includes(url))) {
        failedAt.delete(gone);
      }
    },
    doubtful: () => doubt,
    worked(endpoint) {
      doubt = false;
      good = endpoint;
      failedAt.delete(endpoint);
    },
    failed(endpoint, why) {
      doubt = true;
      failedAt.set(endpoint, now());
      options.onFailed?.(endpoint, why);
      listeners.get(endpoint)?.forEach((callback) => callback(why));
    },
    onFailed(endpoint, callback) {
      const own = listeners.get(endpoint) ?? new Set();
      listeners.set(endpoint, own.add(callback));
      return () => {
        own.delete(callback);
        if (own.size === 0 && listeners.get(endpoint) === own) listeners.delete(endpoint);
      };
    },
  };
}

function checked(urls: string[]): string[] {
  const unique = [...new Set(urls.map((url) => url.replace(/\/+$/, "")))];
  if (unique.length === 0) {
    throw new Fault("etcd.endpoints", "no address of an etcd member is known");
  }
  for (const url of unique) {
    const protocol = URL.canParse(url) ? new URL(url).protocol : "";
    if (protocol !== "https:" && protocol !== "http:") {
      throw new Fault(
        "etcd.endpoints",
        `"${url}" is no address of an etcd member: https://IP:PORT`,
      );
    }
  }
  return unique;
}
