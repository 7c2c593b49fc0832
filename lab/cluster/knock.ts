// Knocking at a server's ports with certificates that do or don't belong there: plain curl, from
// inside the lab, as anybody on that network could.

import type { Agent } from "../agents.ts";
import type { LabHost } from "../host.ts";

/** Seconds that curl waits at most, and milliseconds that we wait for curl. */
const ANSWER_S_MAX = "60";
const KNOCK_MS_MAX = 70_000;

export interface Identity {
  certificate: string;
  key: string;
}

export interface Knock {
  identity?: Identity;
  method?: string;
  headers?: readonly string[];
  /** What is sent; goes in through standard input. */
  body?: string | Buffer;
  /** Without a length, in pieces. */
  chunked?: boolean;
}

/** What came back: `status` is 0 when no answer in HTTP did. */
export interface Answer {
  status: number;
  body: string;
  /** What curl said when it was no answer. */
  because: string;
}

/** The files of an agent's certificate and key on its host. */
export function identityOf(agent: Agent): Identity {
  const { certname, folder } = agent;
  return {
    certificate: `${folder}/ssl/certs/${certname}.pem`,
    key: `${folder}/ssl/private_keys/${certname}.pem`,
  };
}

/**
 * Sends one request from `host` to `url` with curl. The server's own certificate isn't looked at.
 */
export async function knock(host: LabHost, url: string, options: Knock = {}): Promise<Answer> {
  const { identity, method = "GET", headers = [], body } = options;
  const argv = [
    "curl",
    "-sSk",
    "--globoff",
    "--path-as-is",
    "--max-time",
    ANSWER_S_MAX,
    "-X",
    method,
  ];
  if (identity !== undefined) argv.push("--cert", identity.certificate, "--key", identity.key);
  for (const header of headers) argv.push("-H", header);
  if (body !== undefined) argv.push("--data-binary", "@-", "-H", "Expect:");
  if (options.chunked === true) argv.push("-H", "Transfer-Encoding: chunked");
  argv.push("-w", "\n%{http_code}", url);
  const input = body === undefined ? {} : { input: body };
  const { stdout, stderr } = await host.exec(argv, { withinMs: KNOCK_MS_MAX, ...input });
  const cut = stdout.lastIndexOf("\n");
  return {
    status: Number(stdout.slice(cut + 1)),
    body: stdout.slice(0, Math.max(0, cut)),
    because: stderr.trim(),
  };
}
