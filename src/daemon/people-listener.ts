// Opens and closes the API for people as the record wants it, and gives it renewed certificates.
// Danger: a certificate that can't be read must not close what is open: the former one goes on.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import {
  type App,
  type Listener,
  listenPlainly,
  listenWithTls,
  type TlsListener,
} from "../api/serve.ts";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { ApiSettings } from "../cluster/schema.ts";

/** What is open now. */
export interface PeopleListeners {
  api: { where: string; certificate: string } | undefined;
  health: { where: string } | undefined;
}

export type PeopleAction = {
  do: "close-api" | "close-health" | "open-api" | "open-health" | "reload-api";
  because: string;
};

/** What brings `open` to `wanted`, what has to be closed first; `certificate` is the newest's hash. */
export function planPeople(
  wanted: ApiSettings | undefined,
  open: PeopleListeners,
  certificate: string | undefined,
): PeopleAction[] {
  const where = wanted && placeOf(wanted, wanted.port);
  const health = wanted?.healthPort && placeOf(wanted, wanted.healthPort);
  const actions: PeopleAction[] = [];
  if (open.api !== undefined && open.api.where !== where) {
    const because = where === undefined ? "it is off" : `it is to be at ${where}`;
    actions.push({ do: "close-api", because });
  }
  if (open.health !== undefined && open.health.where !== health) {
    const because = health === undefined ? "it is off" : `it is to be at ${health}`;
    actions.push({ do: "close-health", because });
  }
  if (where !== undefined && certificate !== undefined) {
    if (open.api?.where !== where) actions.push({ do: "open-api", because: `at ${where}` });
    else if (open.api.certificate !== certificate) {
      actions.push({ do: "reload-api", because: "its certificate is another one" });
    }
  }
  if (health !== undefined && open.health?.where !== health) {
    actions.push({ do: "open-health", because: `at ${health}` });
  }
  return actions;
}

/** The files of its certificate where the site brings none. */
export interface OwnCertificate {
  cert: string;
  key: string;
}

export function createPeopleListener(options: {
  api: App;
  health: App;
  own: OwnCertificate;
  log: Log;
}) {
  const { log } = options;
  let api: (PeopleListeners["api"] & { listener: TlsListener }) | undefined;
  let health: (PeopleListeners["health"] & { listener: Listener }) | undefined;

  const apply = async (
    action: PeopleAction,
    wanted: ApiSettings | undefined,
    tls: Tls | undefined,
  ) => {
    if (action.do === "close-api") {
      await api?.listener.close();
      api = undefined;
    }
    if (action.do === "close-health") {
      await health?.listener.close();
      health = undefined;
    }
    if (wanted === undefined) return;
    const { address, port, healthPort } = wanted;
    if (action.do === "open-health" && healthPort !== undefined) {
      const listener = await listenPlainly(options.health, { address, port: healthPort });
      health = { where: placeOf(wanted, healthPort), listener };
    }
    if (tls === undefined) return;
    const { hash, cert, key } = tls;
    if (action.do === "open-api") {
      const strangers = { address, port, tls: { cert, key }, strangers: true };
      const listener = await listenWithTls(options.api, strangers);
      api = { where: placeOf(wanted, port), certificate: hash, listener };
    }
    if (action.do === "reload-api" && api !== undefined) {
      api.listener.reload({ cert, key });
      api = { ...api, certificate: hash };
    }
  };
  return {
    /** Whether the API itself is open. */
    isOpen: () => api !== undefined,
    /** Throws the first of what is in the way; all else is done. */
    async tick(wanted: ApiSettings | undefined): Promise<void> {
      const failures: unknown[] = [];
      const tls =
        wanted === undefined
          ? undefined
          : await readTls(wanted.certificate ?? options.own).catch((error: unknown) => {
              failures.push(error);
              return undefined;
            });
      for (const action of planPeople(wanted, { api, health }, tls?.hash)) {
        try {
          await apply(action, wanted, tls);
          log.notice(`API for people: ${action.do}: ${action.because}`);
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
    async close(): Promise<void> {
      await Promise.all([api?.listener.close(), health?.listener.close()]);
      api = health = undefined;
    },
  };
}

interface Tls {
  hash: string;
  cert: string;
  key: string;
}

/** Throws Fault `api.certificate` where the two aren't a certificate and its key. */
async function readTls({ cert, key }: OwnCertificate): Promise<Tls> {
  try {
    const texts = { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") };
    createSecureContext(texts);
    const hash = createHash("sha256").update(texts.cert).update("\0").update(texts.key);
    return { ...texts, hash: hash.digest("hex") };
  } catch (error) {
    throw new Fault(
      "api.certificate",
      `${cert} and ${key} aren't a certificate and its key: ${messageOf(error)}`,
      { hints: ["They must be there on every member: understudy api listen --help"], cause: error },
    );
  }
}

function placeOf({ address }: ApiSettings, port: number): string {
  return address === undefined ? `port ${port}` : `${address}, port ${port}`;
}
