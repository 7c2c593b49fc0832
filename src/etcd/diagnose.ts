// Why a call came to nothing, in words for people. The idea: when the deadline has passed, ask each
// member for its status, which it gives without a quorum; who answers tells a dead network from a
// lost quorum. Danger: none of this decides anything, it only words the Fault.

import { Fault } from "../base/fault.ts";
import type { Transport } from "./attempt.ts";

/** Milliseconds that the diagnosis may add to a call that has failed anyway. */
const PROBE_MS = 500;

/** The Fault that says best why no member of `targets` served a request. */
export async function diagnose(
  client: { transport(): Transport },
  targets: string[],
  reasons: Map<string, string>,
  hopeless: boolean,
  withinMs: number,
): Promise<Fault> {
  const hints = [...reasons].map(([endpoint, why]) => `${endpoint}: ${why}`);
  if (hopeless) {
    return new Fault("etcd.tls", "no etcd member accepts our certificate, or we none of theirs", {
      hints: [...hints, "Compare: openssl verify -CAfile CA CERTIFICATE; clocks; the CA's CRL."],
    });
  }
  const answering = (await Promise.all(targets.map((url) => answers(client, url)))).filter(Boolean);
  const noun = targets.length === 1 ? "member" : "members";
  const count = `${answering.length} of ${targets.length} ${noun}`;
  const verb = answering.length === 1 ? "answers" : "answer";
  if (answering.length === 0) {
    return new Fault("etcd.unreachable", `no etcd member answers (${targets.length} asked)`, {
      hints,
    });
  }
  const message = `${count} ${verb}, but etcd could not agree on anything within ${Math.round(withinMs)} ms`;
  return new Fault("etcd.no-quorum", message, { hints });
}

async function answers(client: { transport(): Transport }, endpoint: string): Promise<boolean> {
  const path = "/v3/maintenance/status";
  const limits = { connectMs: PROBE_MS, silenceMs: PROBE_MS };
  const outcome = await client.transport().attempt({ endpoint, path, body: {}, ...limits });
  return outcome.got !== "nothing";
}
