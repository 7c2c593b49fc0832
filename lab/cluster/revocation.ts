// A certificate at work while it is being revoked: on a connection kept alive, on new ones, and on
// ones that try to resume an earlier TLS session.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import type { Agent } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import type { LabHost } from "../host.ts";
import { type Identity, identityOf, knock } from "./knock.ts";

const PROGRAM = join(import.meta.dirname, "session-program.ts");
const EDGE_PORT = 8140;
const ANSWERS_MS_MAX = 60_000;
const SESSION_MS_MAX = 600_000;

/** One answer on the kept-alive connection. */
export interface Answered {
  sentMs: number;
  status: number;
  /** The local port, the same as long as it is the same connection; else why no answer came. */
  port: string;
  /** Whether it says that the connection ends with it: whoever comes again makes a new one. */
  isLast: boolean;
}

export interface KeptAlive {
  answers(): Answered[];
  /** The first `count` answers to requests sent from `fromMs` on. Fault `base.deadline`. */
  since(fromMs: number, count: number): Promise<Answered[]>;
  end(): Promise<void>;
}

/** The path of what an agent may read of itself. */
export function ownNode(certname: string): string {
  return `/puppet/v3/node/${certname}?environment=production`;
}

/** Starts a kept-alive connection of `agent` to the edge at `address`, and waits for an answer. */
export async function keepAlive(
  cluster: Pick<Cluster, "lab" | "agentHost">,
  address: string,
  agent: Agent,
): Promise<KeptAlive> {
  const folder = await mkdtemp(join(tmpdir(), "understudy-session-"));
  const { certificate, key } = identityOf(agent);
  await writeFile(join(folder, "cert.pem"), await agent.host.readFile(certificate));
  await writeFile(join(folder, "key.pem"), await agent.host.readFile(key), { mode: 0o600 });
  const path = ownNode(agent.certname);
  const argv = [process.execPath, PROGRAM, address, `${EDGE_PORT}`, path, folder];
  const { name } = cluster.agentHost;
  const running = cluster.lab.startFromNetwork(argv, { host: name, withinMs: SESSION_MS_MAX });
  const answers = () => parse(running.output().stdout);
  const since = async (fromMs: number, count: number) => {
    const after = () => answers().filter(({ sentMs }) => sentMs >= fromMs);
    const enough = () => after().length >= count;
    await until("answers on a kept-alive connection", enough, { withinMs: ANSWERS_MS_MAX });
    return after().slice(0, count);
  };
  const end = async () => {
    running.kill("SIGTERM");
    await running.done;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await since(wallMs() - 1, 1);
    return { answers, since, end };
  } catch (error) {
    await end();
    throw error;
  }
}

function parse(text: string): Answered[] {
  return [...text.matchAll(/^(\d+) (\d+) (.*?)( last)?$/gm)].map(
    ([, sent, status, port = "", last]) => ({
      sentMs: Number(sent),
      status: Number(status),
      port,
      isLast: last !== undefined,
    }),
  );
}

/** The status of a request on a new connection of `agent` to the edge of `server`. */
export async function asNew(server: LabHost, agent: Agent): Promise<number> {
  const url = `https://${server.fqdn}:${EDGE_PORT}${ownNode(agent.certname)}`;
  const headers = ["Accept: application/json"];
  return (await knock(agent.host, url, { identity: identityOf(agent), headers })).status;
}

/** Requests with OpenSSL that keep their TLS sessions, and later ones that offer to resume them. */
export class Sessions {
  readonly #agent: Agent;
  readonly #server: LabHost;

  constructor(server: LabHost, agent: Agent) {
    this.#server = server;
    this.#agent = agent;
  }

  /** Makes a request with each version of TLS and keeps the session. The statuses. */
  async keep(): Promise<number[]> {
    return this.#ask("-sess_out");
  }

  /**
   * Offers the kept sessions. The statuses; 0 where no session was there to be offered or no answer
   * came.
   */
  async resume(): Promise<number[]> {
    return this.#ask("-sess_in");
  }

  async #ask(how: "-sess_out" | "-sess_in"): Promise<number[]> {
    const identity = identityOf(this.#agent);
    const statuses: number[] = [];
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const file = `/var/tmp/session${version}-${this.#agent.certname}`;
      // Without a ticket or an id there is no file: then there is nothing to resume, which is as
      // good.
      const session =
        how === "-sess_in" ? `$([ -s ${file} ] && echo -sess_in ${file})` : `${how} ${file}`;
      const said = await this.#agent.host.exec(this.#script(identity, version, session));
      statuses.push(Number(/^HTTP\/1\.1 (\d{3})/m.exec(said.stdout)?.[1] ?? 0));
    }
    return statuses;
  }

  #script({ certificate, key }: Identity, version: string, session: string): string {
    const head = `GET ${ownNode(this.#agent.certname)} HTTP/1.1\\r\\nHost: x\\r\\nAccept: application/json\\r\\nConnection: close\\r\\n\\r\\n`;
    const where = `${this.#server.fqdn}:${EDGE_PORT}`;
    return `printf '${head}' | timeout 60 openssl s_client -connect ${where} ${version} -cert ${certificate} -key ${key} ${session} -ign_eof 2>&1`;
  }
}
