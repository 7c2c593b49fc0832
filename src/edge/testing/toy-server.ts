// A process that plays puppetserver (or a certificate authority) in tests of the edge, so that it
// can be stopped, continued and killed. What it is to do with a request stands in the request's
// query: gate=NAME answers once a file NAME lies beside the log; ms=N answers after N ms; die=N
// kills the whole process after N ms; cut=N closes the connection; status=N answers so; bytes=N
// sends so many bytes; retryafter=N adds that header. Each request is a line in its log file.

import { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";

export interface ToyOptions {
  name: string;
  logFile: string;
  /** A port for mutual TLS, or a path for plain HTTP on a Unix socket. */
  listen: number | string;
  certFile?: string;
  keyFile?: string;
  caFile?: string;
  /**
   * The file whose content is the status of health checks; 200 when there is none. Of the check
   * whether it signs: a file with `.sign` after its name, where there is one; of stock's CA: `.ca`.
   */
  healthFile?: string;
}

const options = JSON.parse(process.argv[2] ?? "{}") as ToyOptions;

function note(line: string): void {
  appendFileSync(options.logFile, `${line}\n`);
}

function health(file = options.healthFile ?? ""): number {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return 200;
  }
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://toy");
  if (url.pathname === "/health/ca/sign") {
    const file = `${options.healthFile}.sign`;
    response.writeHead(existsSync(file) ? health(file) : health()).end();
    return;
  }
  if (url.pathname === "/status/v1/simple/ca" && existsSync(`${options.healthFile}.ca`)) {
    response.writeHead(health(`${options.healthFile}.ca`)).end();
    return;
  }
  if (url.pathname === "/status/v1/simple/server" || url.pathname.startsWith("/health")) {
    response.writeHead(health(), { "content-type": "text/plain" }).end("running");
    return;
  }
  const number = (name: string) => Number(url.searchParams.get(name) ?? "0");
  const id = url.searchParams.get("id") ?? "";
  note(`start ${id} ${request.method} ${url.pathname}`);
  const hash = createHash("sha256");
  let bodyBytes = 0;
  request.on("data", (chunk: Buffer) => {
    bodyBytes += chunk.length;
    hash.update(chunk);
  });
  request.on("error", () => undefined);
  request.on("end", () => {
    if (url.searchParams.has("die")) {
      setTimeout(() => process.kill(process.pid, "SIGKILL"), number("die"));
      return;
    }
    if (url.searchParams.has("cut")) {
      setTimeout(() => request.socket.destroy(), number("cut"));
      return;
    }
    const gate = url.searchParams.get("gate");
    const answer = () => {
      if (gate !== null && !existsSync(join(dirname(options.logFile), gate))) {
        setTimeout(answer, 20);
        return;
      }
      note(`end ${id}`);
      const about = {
        server: options.name,
        method: request.method,
        url: request.url,
        headers: request.headers,
        bodyBytes,
        sha256: hash.digest("hex"),
      };
      const headers = { "content-type": "application/json" };
      const wait = url.searchParams.get("retryafter");
      response.writeHead(number("status") || 200, {
        ...headers,
        ...(wait === null ? {} : { "retry-after": wait }),
      });
      const filler = "x".repeat(number("bytes"));
      response.end(JSON.stringify(filler === "" ? about : { ...about, filler }));
    };
    setTimeout(answer, number("ms"));
  });
}

if (typeof options.listen === "string") {
  rmSync(options.listen, { force: true });
  createServer(answer).listen(options.listen, () => process.stdout.write("ready\n"));
} else {
  const server = createTlsServer(
    {
      cert: readFileSync(options.certFile ?? ""),
      key: readFileSync(options.keyFile ?? ""),
      ca: readFileSync(options.caFile ?? ""),
      requestCert: true,
      rejectUnauthorized: true,
      keepAliveTimeout: 30_000,
    },
    answer,
  );
  server.listen(options.listen, "127.0.0.1", () => process.stdout.write("ready\n"));
}
// The test that started this process is gone: so are we.
process.stdin.on("end", () => process.exit(0)).resume();
