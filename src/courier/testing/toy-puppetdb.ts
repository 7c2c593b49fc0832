// Stands for a PuppetDB in tests of couriers: one that can be told how to fail.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { gunzipSync } from "node:zlib";
import { freePorts } from "../../host/testing/ports.ts";
import { ToyNodes } from "./toy-nodes.ts";
import { type ToyContent, toyRows } from "./toy-rows.ts";

/** A command as a toy got it. */
export interface Got {
  query: URLSearchParams;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

/** Stands for a PuppetDB: says that it is well, keeps what it gets, answers queries with its name. */
export class ToyPuppetDb {
  readonly got: Got[] = [];
  /** What it says of its database. */
  writable = true;
  /** How it answers a command; 200 by default. */
  answer: (got: Got) => { status: number; body: string } = () => ({
    status: 200,
    body: '{"uuid":"u","processed":true,"timed_out":false}',
  });
  /** How many commands have come, those among them that aren't answered yet. */
  arrived = 0;
  /** A command is answered when this is over. */
  hold: (got: Got) => Promise<void> | undefined = () => undefined;
  /** What it answers the sync with. */
  nodes = new ToyNodes();
  /** Whether it answers the sync; `half`: it breaks off. */
  compares: boolean | "half" = true;
  /** Breaks off after half of an answer to a query. */
  breaksOff = false;
  /** What it says that it has, when it is counted. */
  has: ToyContent["has"] = { active: 100, deactivated: 0, exported: 300, catalogs: 100 };
  /** When it got anything of a node, by certname: what it says when it is asked. */
  heard: ToyContent["heard"] = {};
  readonly #name: string;
  #startedMs = 0;
  readonly #server = createServer((incoming, outgoing) => void this.#serve(incoming, outgoing));
  port = 0;

  constructor(name: string) {
    this.#name = name;
  }

  async start(): Promise<void> {
    if (this.port === 0) [this.port = 0] = await freePorts(1);
    this.#startedMs += 1;
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  certnames(): string[] {
    return this.got.map(({ query }) => query.get("certname") ?? "");
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = new URL(incoming.url ?? "/", "http://toy");
    if (url.pathname === "/status/v1/services/puppetdb-status") {
      const status = {
        "maintenance_mode?": false,
        "read_db_up?": this.writable,
        "write_db_up?": this.writable,
      };
      const state = this.writable ? "running" : "error";
      outgoing.writeHead(this.writable ? 200 : 503).end(JSON.stringify({ state, status }));
    } else if (url.pathname === "/pdb/cmd/v1") {
      const got = {
        query: url.searchParams,
        headers: incoming.headers,
        body: Buffer.concat(chunks),
      };
      this.arrived += 1;
      await this.hold(got);
      const { status, body } = this.answer(got);
      if (status === 200) {
        this.got.push(got);
        this.nodes.take(got.query.get("command") ?? "", unpacked(got));
      }
      outgoing.writeHead(status).end(body);
    } else if (url.pathname === "/pdb/admin/v1/cmd") {
      const body = Buffer.concat(chunks);
      const { payload } = JSON.parse(body.toString()) as { payload: { certname: string } };
      const query = new URLSearchParams({ command: "delete", certname: payload.certname });
      this.got.push({ query, headers: incoming.headers, body });
      outgoing.writeHead(200).end(JSON.stringify({ deleted: payload.certname }));
    } else if (incoming.headers["user-agent"] === "Understudy sync") {
      const text = JSON.stringify(this.#synced(url, Buffer.concat(chunks).toString()));
      const refuses = this.compares === false && url.pathname.startsWith("/pdb/");
      outgoing.writeHead(refuses ? 500 : 200);
      if (this.compares !== "half" || text.length < 200) outgoing.end(text);
      else outgoing.write(text.slice(0, -20), () => outgoing.destroy());
    } else if (url.pathname === "/pdb/query/v4") {
      const query = url.searchParams.get("query") ?? "";
      outgoing.writeHead(200).end(JSON.stringify(toyRows(query, this)));
    } else {
      outgoing.writeHead(200, { "content-type": "application/json", "x-records": "1" });
      outgoing.write(`[{"by":"${this.#name}",`);
      if (this.breaksOff) setImmediate(() => outgoing.destroy());
      else outgoing.end(`"path":${JSON.stringify(incoming.url)}}]`);
    }
  }

  /** The answer to one of the sync's own requests. */
  #synced({ pathname, search }: URL, body: string): object {
    if (pathname === "/pdb/meta/v1/version") return { version: "7.12.1" };
    if (pathname.startsWith("/pdb/")) return this.nodes.answer(pathname + search, body);
    const metrics = { "jvm-metrics": { "start-time-ms": this.#startedMs } };
    return { status: { experimental: metrics } };
  }
}

function unpacked({ headers, body }: Got): string {
  return (headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString("utf8");
}
