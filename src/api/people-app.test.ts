// The people's API as strangers, friends and clumsy clients meet it: a real port, real TLS.

import assert from "node:assert/strict";
import { connect, type TLSSocket } from "node:tls";
import { after, before, beforeEach, test } from "node:test";
import { until } from "../base/retry.ts";
import { CONTROL_HOSTNAME } from "../cluster/pki.ts";
import { createLocalApp } from "./local-app.ts";
import { createTestCommands } from "./testing/commands.ts";
import { NOW_MS, startTestPeople } from "./testing/people.ts";

const FAR_MS = 3_600_000;
let people: Awaited<ReturnType<typeof startTestPeople>>;
before(async () => {
  people = await startTestPeople({ readsMetrics: () => allMayRead });
});
after(async () => people.close());
let allMayRead = false;

beforeEach(() => {
  people.lines.length = 0;
  people.calls.length = 0;
  people.clock.wallMs = NOW_MS;
  // Every limit has filled up by then.
  people.clock.monotonicMs += FAR_MS;
});

const codeOf = ({ text }: { text: string }) =>
  (JSON.parse(text) as { error?: { code: string } }).error?.code;

/** One request in bytes of its own, and all that comes back until the connection ends. */
async function raw(text: string, then?: (socket: TLSSocket) => void): Promise<string> {
  const { port, ca } = people;
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect({ host: "127.0.0.1", port, ca, servername: CONTROL_HOSTNAME }, () => {
      socket.write(text);
      then?.(socket);
    });
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    // A connection that is torn down is an answer too.
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer));
  });
}

test("the people's API asks for a token, tells why one is no good, and audits it without its text", async () => {
  const { ask, tokens, lines, addToken, clock } = people;
  const short = addToken("short", "admin", 1000);
  for (const [token, status, code] of [
    [undefined, 401, "access.required"],
    ["", 401, "access.refused"],
    ["UA1.000000000000.secretsecretsecretsecretsecretsecretsecret", 401, "access.refused"],
    [`${tokens.admin}x`, 401, "access.refused"],
  ] as const) {
    const said = await ask("GET", "/v1/local", token === undefined ? {} : { token });
    assert.deepEqual([said.status, codeOf(said)], [status, code]);
    assert.match(String(said.headers["www-authenticate"]), /^Bearer/);
  }
  clock.wallMs = NOW_MS + 1000;
  const ended = await ask("GET", "/v1/local", { token: short });
  assert.deepEqual([ended.status, codeOf(ended)], [401, "access.expired"]);
  const refusals = lines.filter((line) => line.includes('"outcome":"refused"'));
  assert.equal(refusals.length, 4, "a missing token is no attempt");
  const secrets = [tokens.admin, short].map((text) => text.split(".")[2] ?? "?");
  assert.ok(!lines.some((line) => secrets.some((secret) => line.includes(secret))));
  assert.ok(!lines.some((line) => line.includes("secretsecret")));
});

test("the people's API takes a revoked token no more, on an open connection either", async () => {
  const { ask, addToken, list } = people;
  const token = addToken("gone", "viewer");
  assert.equal((await ask("GET", "/v1/local", { token })).status, 200);
  list.tokens = list.tokens.filter(({ name }) => name !== "gone");
  assert.equal((await ask("GET", "/v1/local", { token })).status, 401);
});

test("the people's API lets each role do what it is for; changes and refusals are audited", async () => {
  const { ask, tokens, lines, calls } = people;
  const names = { body: { names: ["web.test"] } };
  for (const [role, method, path, status] of [
    ["viewer", "GET", "/v1/status", 200],
    ["viewer", "GET", "/v1/ca?state=signed&limit=5", 200],
    ["viewer", "POST", "/v1/ca/sign", 403],
    ["viewer", "POST", "/v1/ca/revoke", 403],
    ["operator", "GET", "/v1/status", 200],
    ["operator", "POST", "/v1/ca/sign", 200],
    ["operator", "POST", "/v1/ca/revoke", 403],
    ["admin", "POST", "/v1/ca/sign", 200],
    ["admin", "POST", "/v1/ca/revoke", 200],
  ] as const) {
    const options = { token: tokens[role], ...(method === "POST" ? names : {}) };
    const said = await ask(method, path, options);
    assert.equal(said.status, status, `${role} ${method} ${path}: ${said.text}`);
    if (status === 403) assert.equal(codeOf(said), "access.role");
  }
  const done = ["sign web.test", "sign web.test", "revoke web.test"];
  assert.deepEqual(calls, ["list 5", ...done]);
  const audit = lines.map((line) => JSON.parse(line.slice(3)) as Record<string, string>);
  assert.deepEqual(
    audit.map(({ who, role, what, about, outcome, from }) =>
      [who, role, what, about, outcome, from].join("|"),
    ),
    [
      "see|viewer|POST /v1/ca/sign||refused|127.0.0.1",
      "see|viewer|POST /v1/ca/revoke||refused|127.0.0.1",
      "ops|operator|POST /v1/ca/sign|web.test|done|127.0.0.1",
      "ops|operator|POST /v1/ca/revoke||refused|127.0.0.1",
      "boss|admin|POST /v1/ca/sign|web.test|done|127.0.0.1",
      "boss|admin|POST /v1/ca/revoke|web.test|done|127.0.0.1",
    ],
  );
});

test("the people's API offers nothing of root's, to no role", async () => {
  const { ask, tokens, calls } = people;
  const agent = people.from("127.0.0.4");
  for (const [method, path] of [
    ["POST", "/v1/eject"],
    ["POST", "/v1/leave"],
    ["POST", "/v1/leave/start"],
    ["POST", "/v1/members/remove"],
    ["POST", "/v1/tokens"],
    ["POST", "/v1/access"],
    ["DELETE", "/v1/access/see"],
    ["POST", "/v1/api"],
    ["POST", "/v1/finish"],
    ["POST", "/v1/ca/generate"],
    ["POST", "/v1/server-certificate"],
    ["POST", "/v1/puppetserver/load"],
  ] as const) {
    const said = await ask(method, path, { token: tokens.admin, body: {}, agent });
    assert.deepEqual([said.status, codeOf(said)], [404, "api.not-found"], `${method} ${path}`);
  }
  assert.deepEqual(calls, []);
});

test("the people's API finds no way around the role by tricks with the path or the method", async () => {
  const { ask, tokens, calls } = people;
  const token = tokens.viewer;
  const agent = people.from("127.0.0.3");
  const body = { names: ["web.test"] };
  for (const [method, path] of [
    ["POST", "/v1//ca/sign"],
    ["POST", "/v1/ca/sign/"],
    ["POST", "/V1/CA/SIGN"],
    ["POST", "/v1/ca/%73ign"],
    ["POST", "/v1/local/../ca/sign"],
    ["POST", "/v1/ca/sign?x=/v1/local"],
    ["POST", "/health/live/../../v1/ca/sign"],
    ["POST", "/health/live"],
    ["PUT", "/v1/ca/sign"],
    ["PATCH", "/v1/ca/sign"],
    ["POST", "/metrics/../v1/ca/sign"],
    ["POST", "/%2e%2e/v1/ca/sign"],
    ["POST", "//v1/ca/sign"],
    ["POST", "/v1/ca/sign\\"],
  ] as const) {
    const said = await ask(method, path, { token, body, agent });
    assert.ok([400, 403, 404].includes(said.status), `${method} ${path}: ${said.status}`);
    const overridden = { "x-http-method-override": "POST", "content-type": "application/json" };
    await ask("GET", path, { token, headers: overridden });
  }
  const odd = await ask("GET", `/v1/ca/show/${encodeURIComponent("../../etc/passwd")}`, { token });
  assert.equal(odd.status, 200, "a name is a name: it is looked up, and opens no file");
  assert.equal((await ask("GET", "/v1/ca/show/%zz%00", { token })).status, 200);
  assert.deepEqual(calls, []);
});

test("the people's API answers HEAD like GET without a body, and has nothing for OPTIONS", async () => {
  const { ask, tokens } = people;
  const token = tokens.viewer;
  const [got, head] = [
    await ask("GET", "/v1/local", { token }),
    await ask("HEAD", "/v1/local", { token }),
  ];
  assert.deepEqual([head.status, head.text], [200, ""]);
  assert.equal(head.headers["content-type"], got.headers["content-type"]);
  assert.equal((await ask("HEAD", "/v1/local")).status, 401);
  const origin = { origin: "https://evil.test", "access-control-request-method": "POST" };
  const preflight = await ask("OPTIONS", "/v1/ca/sign", { headers: origin });
  assert.equal(preflight.status, 401);
  const known = await ask("GET", "/v1/local", { token, headers: { origin: "https://evil.test" } });
  for (const said of [preflight, known]) {
    const cors = Object.keys(said.headers).filter((name) => name.startsWith("access-control"));
    assert.deepEqual(cors, []);
  }
});

test("the people's API sends its security headers with every answer", async () => {
  const { ask, tokens } = people;
  for (const [path, token] of [
    ["/v1/local", tokens.viewer],
    ["/v1/local", "wrong"],
    ["/nowhere", tokens.viewer],
    ["/health/live", undefined],
    ["/v1/ca?limit=-1", tokens.viewer],
  ] as const) {
    const { headers } = await ask("GET", path, token === undefined ? {} : { token });
    assert.equal(headers["x-content-type-options"], "nosniff", path);
    assert.equal(headers["cache-control"], "no-store", path);
    assert.match(String(headers["content-security-policy"]), /default-src 'none'/, path);
    assert.equal(headers["set-cookie"], undefined);
  }
});

test("the people's API refuses what isn't understood, and bodies that are too large", async () => {
  const { ask, tokens, calls } = people;
  const token = tokens.admin;
  const answers = [
    await ask("POST", "/v1/ca/sign", { token, raw: "{" }),
    await ask("POST", "/v1/ca/sign", { token, body: { names: "web.test" } }),
    await ask("POST", "/v1/ca/sign", { token }),
    await ask("GET", "/v1/ca?limit=none", { token }),
    await ask("POST", "/v1/voters", { token, body: { voters: 2 } }),
  ];
  for (const said of answers) {
    assert.deepEqual([said.status, codeOf(said)], [400, "api.malformed"]);
  }
  const large = JSON.stringify({ names: ["x".repeat(1024 * 1024)] });
  const sized = await ask("POST", "/v1/ca/sign", { token, raw: large });
  assert.deepEqual([sized.status, codeOf(sized)], [413, "api.too-large"]);
  const chunked = { "transfer-encoding": "chunked" };
  const streamed = await ask("POST", "/v1/ca/sign", { token, raw: large, headers: chunked });
  assert.equal(streamed.status, 413);
  assert.deepEqual(calls, []);
});

test("the people's API bounds lists, whatever is asked for", async () => {
  const { ask, tokens, calls } = people;
  for (const query of ["", "?limit=7", "?limit=5000", "?limit=1000000"]) {
    assert.equal((await ask("GET", `/v1/ca${query}`, { token: tokens.viewer })).status, 200);
  }
  assert.deepEqual(calls, ["list 1000", "list 7", "list 5000", "list 10000"]);
});

test("the people's API builds one timeline at a time, of so many lines; commands wait for nobody", async () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const { commands } = createTestCommands();
  const limits: number[] = [];
  const incident: typeof commands.incident = async (wish) => {
    limits.push(wish.limit);
    await gate;
    return commands.incident(wish);
  };
  const all = { ...commands, incident };
  const busy = await startTestPeople({ commands: all });
  try {
    const { ask, tokens } = busy;
    const agent = busy.from("127.0.0.7", 30);
    const ends: number[] = [];
    const asked = Array.from({ length: 8 }, async () => {
      const path = "/v1/incident?sinceMs=0&limit=20000";
      ends.push((await ask("GET", path, { token: tokens.viewer, agent })).status);
    });
    await until("those beyond", () => ends.length === 3, { withinMs: 20_000 });
    assert.deepEqual(ends, [429, 429, 429]);
    assert.deepEqual(limits, [2000], "the others wait");
    const local = createLocalApp(all, { note: () => {} });
    const root = local.request("/v1/incident");
    await until("a command's begins", () => limits.length === 2, { withinMs: 20_000 });
    open();
    await Promise.all(asked);
    assert.equal((await root).status, 200);
    assert.deepEqual(limits, [2000, 20_000, 2000, 2000, 2000, 2000]);
  } finally {
    await busy.close();
  }
});

test("the people's API answers one token a bounded number of requests at once", async () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const { commands } = createTestCommands();
  const cluster = async () => gate.then(async () => commands.cluster());
  const busy = await startTestPeople({ commands: { ...commands, cluster } });
  try {
    const { ask, tokens } = busy;
    const agent = busy.from("127.0.0.6", 30);
    const ends: number[] = [];
    const all = Array.from({ length: 20 }, async () => {
      ends.push((await ask("GET", "/v1/status", { token: tokens.viewer, agent })).status);
    });
    await until("those beyond", () => ends.length === 4, { withinMs: 20_000 });
    assert.deepEqual(ends, [429, 429, 429, 429]);
    assert.equal((await ask("GET", "/v1/local", { token: tokens.admin })).status, 200);
    open();
    await Promise.all(all);
    assert.equal(ends.filter((status) => status === 200).length, 16);
    assert.equal((await ask("GET", "/v1/status", { token: tokens.viewer })).status, 200);
  } finally {
    await busy.close();
  }
});

test("the people's API outlives methods and targets that no client sends", async () => {
  const good = `Host: x\r\nAuthorization: Bearer ${people.tokens.viewer}\r\n`;
  for (const line of [
    "TRACE /v1/local",
    "CONNECT evil.test:443",
    "OPTIONS *",
    "GET http://evil.test/v1/eject",
    "GET //evil.test/v1/local",
    "GET /v1/local#x",
    "GET /%",
    "GET /v1/ca?pattern=%zz&limit=1&limit=x",
    "BREW /v1/ca/sign",
  ]) {
    const answer = await raw(`${line} HTTP/1.1\r\n${good}Connection: close\r\n\r\n`);
    assert.doesNotMatch(answer, /^HTTP\/1\.1 5/, line);
  }
  assert.equal((await people.ask("GET", "/health/live")).status, 200);
});

test("the people's API reads no body of who has no token", async () => {
  const host = "Host: x\r\nContent-Length: 900000000\r\n\r\n";
  const answer = await raw(`POST /v1/ca/sign HTTP/1.1\r\n${host}`, (socket) => {
    socket.once("data", () => socket.end());
  });
  assert.match(answer, /^HTTP\/1\.1 401 /);
});

test("the people's API ends connections with huge headers, and with what is no HTTP", async () => {
  const big = await raw(`GET /v1/local HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
  assert.doesNotMatch(big, / 200 /);
  assert.doesNotMatch(await raw("\x16\x03\x01 nonsense\r\n\r\n"), / 200 /);
  const twice = "Content-Length: 2\r\nContent-Length: 30\r\n";
  assert.doesNotMatch(await raw(`POST /v1/ca/sign HTTP/1.1\r\nHost: x\r\n${twice}\r\n{}`), / 200 /);
  assert.equal((await people.ask("GET", "/health/live")).status, 200);
});

test("the health endpoints answer HTTP/1.0 without a host, as load balancers ask", async () => {
  assert.match(await raw("GET /health/live HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 /);
  assert.match(await raw("HEAD /health/leader HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 503 /);
});

test("wrong tokens of one address are soon unheard, and end the connection; a right one gets in", async () => {
  const { ask, tokens, lines } = people;
  const agent = people.from("127.0.0.2");
  const statuses: number[] = [];
  for (let index = 0; index < 30; index += 1) {
    const token = `UA1.0123456789ab.${String(index).padStart(43, "x")}`;
    const said = await ask("GET", "/v1/local", { token, agent });
    statuses.push(said.status);
    assert.equal(said.headers["connection"], said.status === 429 ? "close" : "keep-alive");
  }
  assert.deepEqual(statuses, [...Array(10).fill(401), ...Array(20).fill(429)]);
  assert.equal(lines.length, 10, "one line for each that was heard");
  assert.equal((await ask("GET", "/v1/local", { token: tokens.viewer, agent })).status, 200);
  assert.equal((await ask("GET", "/v1/local", { token: "x" })).status, 401, "from elsewhere");
});

test("one token can't ask without end, and another isn't slowed by it", async () => {
  const { ask, tokens, clock } = people;
  const ask200 = async () =>
    Promise.all(
      Array.from({ length: 200 }, async () => {
        return (await ask("GET", "/v1/access", { token: tokens.viewer })).status;
      }),
    );
  const first = await ask200();
  assert.equal(first.filter((status) => status === 200).length, 100);
  assert.equal(first.filter((status) => status === 429).length, 100);
  const slowed = await ask("GET", "/v1/access", { token: tokens.viewer });
  assert.deepEqual([slowed.status, slowed.headers["connection"]], [429, "keep-alive"]);
  assert.equal((await ask("GET", "/v1/access", { token: tokens.admin })).status, 200);
  clock.monotonicMs += 1000;
  assert.equal((await ask200()).filter((status) => status === 200).length, 20);
});

test("the metrics are for tokens, and for networks that are listed", async () => {
  const { ask, tokens } = people;
  assert.equal((await ask("GET", "/metrics")).status, 401);
  const known = await ask("GET", "/metrics", { token: tokens.viewer });
  assert.equal(known.status, 200);
  assert.match(String(known.headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  assert.match(known.text, /^understudy_record_reachable 1$/m);
  allMayRead = true;
  assert.equal((await ask("GET", "/metrics")).text, known.text);
  assert.equal((await ask("GET", "/v1/local")).status, 401, "nothing but the metrics is open");
  allMayRead = false;
});

test("the health endpoints need no token: 200 or 503, GET or HEAD", async () => {
  const { ask } = people;
  const live = await ask("GET", "/health/live");
  assert.equal(live.status, 200);
  assert.deepEqual(JSON.parse(live.text), { check: "live", ok: true, because: "as live is" });
  const leader = await ask("HEAD", "/health/leader");
  assert.deepEqual([leader.status, leader.text], [503, ""]);
  assert.equal((await ask("GET", "/health/else")).status, 401);
});
