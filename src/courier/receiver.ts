// Somewhere else that reports go to: a URL that takes them as puppetserver's own `http` report
// processor would send them. Down means: the next report waits a moment; what it will never take is
// put aside.

import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { getCACertificates } from "node:tls";
import { messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import type { DeliveryTarget } from "./deliver.ts";
import type { DeliveryAnswer, Verdict } from "./delivery-plan.ts";
import { readBody } from "../base/read-body.ts";

/** How long a receiver may take for one report. */
const SEND_MS = 30_000;
/** How long one that took nothing is left alone. */
const AGAIN_MS = 5000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** How often a report that a receiver fails at is sent before it is put aside. */
const TRIES_MAX = 8;
/** Answers that say something of the receiver, and nothing of the report. */
const NOT_NOW = new Set([0, 401, 403, 404, 405, 408, 425, 429, 502, 503, 504]);

export interface ReceiverAddress {
  name: string;
  /** http or https, without credentials: this server's Puppet certificate is shown. */
  url: string;
}

export interface Receiver extends DeliveryTarget {
  url: string;
  /** Why it took nothing when it was tried last; empty: it took it. */
  because(): string;
}

/** `tls`: PEM of this server's Puppet certificate and of the Puppet CA, asked for at each request. */
export function createReceiver(
  { name, url }: ReceiverAddress,
  tls: () => { cert: string; key: string; ca: string },
): Receiver {
  const to = new URL(url);
  let because = "";
  let silentUntilMs = 0;
  const send = (
    head: { contentType?: string; encoding?: string },
    body: Buffer,
    signal: AbortSignal,
  ) =>
    new Promise<DeliveryAnswer>((resolve) => {
      const failed = (error: unknown) => resolve({ status: 0, body: messageOf(error) });
      const options = {
        method: "POST",
        headers: {
          "content-type": head.contentType ?? "application/x-yaml",
          "content-length": String(body.length),
          ...(head.encoding !== undefined && { "content-encoding": head.encoding }),
        },
        signal: deadline(SEND_MS, signal),
      };
      try {
        const { ca, ...own } = tls();
        const trust = { ...own, ca: [ca, ...getCACertificates("system"), ...getCACertificates()] };
        const outgoing =
          to.protocol === "https:"
            ? httpsRequest(to, { ...options, ...trust })
            : httpRequest(to, options);
        outgoing.on("error", failed);
        outgoing.on("response", (incoming) => {
          readBody(incoming, ANSWER_BYTES_MAX)
            .catch(() => Buffer.alloc(0))
            .then((bytes) => resolve({ status: incoming.statusCode ?? 0, body: bytes.toString() }))
            .catch(failed);
        });
        outgoing.end(body);
      } catch (error) {
        failed(error);
      }
    });
  return {
    id: name,
    url,
    because: () => because,
    writable: () => performance.now() >= silentUntilMs,
    send,
    judge(answer, tries) {
      const verdict = judgeReceipt(answer, tries);
      because = verdict.is === "done" || verdict.is === "dead" ? "" : verdict.because;
      return verdict;
    },
    async look() {
      silentUntilMs = performance.now() + AGAIN_MS;
    },
  };
}

/** Judges a receiver's answer to the `tries`th attempt (1: the first). */
export function judgeReceipt({ status, body }: DeliveryAnswer, tries: number): Verdict {
  const said = body.replaceAll(/\s+/g, " ").slice(0, 200).trim();
  if (status >= 200 && status < 300) return { is: "done", because: "" };
  if (status === 0) return { is: "later", because: `it doesn't answer: ${said}` };
  const because = `it answers ${status}${said === "" ? "" : `: ${said}`}`;
  if (NOT_NOW.has(status)) return { is: "later", because };
  if (status < 400) return { is: "later", because: `${because} (redirects aren't followed)` };
  if (status < 500) return { is: "dead", because };
  return { is: tries >= TRIES_MAX ? "dead" : "again", because };
}
