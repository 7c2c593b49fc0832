// What init and join refuse: each with exit code, stable code and clear words, and with nothing
// changed on the server, nor in the cluster that was asked.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { z } from "zod";
import { until } from "../../src/base/retry.ts";
import { exchange } from "../cluster/exchange.ts";
import { INIT, URL } from "../cluster/commands.ts";
import { openTwoServers } from "../cluster/two-servers.ts";
import { refused, worldOf } from "../cluster/world.ts";
import { skewEnv } from "../host.ts";
import type { LabHost } from "../host.ts";
import type { Lab } from "../lab.ts";
import { SHARED_NAME } from "../plan.ts";

const CADIR = "/etc/puppet/puppetserver/ca";
const WEBSERVER = "/etc/puppet/puppetserver/conf.d/webserver.conf";
const SETUP_MS_MAX = 300_000;
const WAIT_MS_MAX = 60_000;
/** Where somebody in the middle answers, on s2's own network. */
const FAKE_PORT = 9555;

const Created = z.object({ id: z.string(), token: z.string() });
const Tokens = z.array(z.object({ id: z.string(), state: z.string() }));

let lab: Lab;
let s1: LabHost;
let s2: LabHost;

before(async () => {
  ({ lab, s1, s2 } = await openTwoServers());
});

after(async () => lab?.down());

test("init by somebody else than root is refused", async () => {
  await refused(s1, ["runuser", "-u", "nobody", "--", ...INIT.split(" ")], "setup.not-root", [
    /this needs root/,
  ]);
});

test("init refuses options that can't be, saying what they look like", async () => {
  await refused(s1, "understudy init --name 'two words'", "cli.option", [
    /--name "two words": not a certname/,
  ]);
  await refused(s1, `understudy init --name ${SHARED_NAME} --vip 10.88.0.10`, "cli.option", [
    /--vip "10\.88\.0\.10": not an address with its prefix length, as in 10\.0\.0\.10\/24/,
  ]);
  await refused(s1, `${INIT} --accept-proxy nonsense`, "cli.option", [/--accept-proxy "nonsense"/]);
  const usage = await s1.exec("understudy init");
  assert.equal(usage.code, 2);
  assert.match(usage.stderr, /required option '--name/);
});

test("init --dry-run says what it would do, and does nothing of it", async () => {
  const world = await worldOf(s1);
  const said = await s1.run(`${INIT} --dry-run`);
  assert.match(said, /CA directory +none: a new CA will be made/);
  assert.match(said, /hold 10\.88\.0\.10\/24/);
  assert.match(said, /Nothing was changed\./);
  assert.equal(await worldOf(s1), world);
});

test("init lists every fatal problem at once, with what to do about each", async () => {
  const stock = await s1.readFile(WEBSERVER);
  await s1.run("puppetserver ca setup");
  await s1.run(`mv ${CADIR}/ca_key.pem /root/ca_key.pem`);
  await s1.run("mv /usr/sbin/haproxy /root/haproxy");
  await s1.writeFile(WEBSERVER, stock.replace("ssl-port: 8140", "ssl-port: 8140\n    ${?OTHER}"));
  const line = (await s1.readFile(WEBSERVER))
    .split("\n")
    .findIndex((text) => text.includes("?OTHER"));
  const listener = await s1.start(["perl", "-MIO::Socket::INET", "-e", LISTEN, "9141"]);
  await s1.untilHolds("ss -Hltn | grep -q :9141");

  const vips = `--vip ${s2.address}/24 --vip 192.0.2.10/24`;
  const init = `understudy init --name ${SHARED_NAME} ${vips}`;
  const problems = [
    /6 problems must be solved first; nothing was changed/,
    /setup\.program-version: haproxy isn't installed\n.*apt-get install haproxy/,
    /setup\.port-taken: in use: 9141 \(perl \(process \d+\) listens on it\)/,
    /setup\.vip-taken: somebody answers at it already/,
    /setup\.vip-subnet: lies in no subnet/,
    new RegExp(`puppetserver\\.config-unknown: ${WEBSERVER}:${line + 1}: `),
    /ca\.directory-partial: .*ca_key\.pem is missing/,
  ];
  await refused(s1, init, "setup.preflight", problems);
  // The same is found without being asked to act.
  const dry = await s1.exec(`${init} --dry-run --json`);
  assert.equal(dry.code, 1);

  listener.kill();
  await listener.done;
  await s1.writeFile(WEBSERVER, stock);
  await s1.run("mv /root/haproxy /usr/sbin/haproxy");
});

test("init doesn't make a new CA beside one that lacks its key", async () => {
  await refused(s1, INIT, "setup.preflight", [
    /1 problem must be solved first/,
    /ca\.directory-partial: .*ca_key\.pem is missing/,
    /It is never overwritten/,
  ]);
  await s1.run(`mv /root/ca_key.pem ${CADIR}/ca_key.pem`);
});

test("init without Puppet Server is refused", async () => {
  await s1.run("mv /usr/bin/puppetserver /root/puppetserver");
  await refused(s1, INIT, "setup.preflight", [/host\.no-puppetserver: .*not installed/]);
  await s1.run("mv /root/puppetserver /usr/bin/puppetserver");
});

test("on a member, init and join are refused", async () => {
  await s1.run(INIT, { withinMs: SETUP_MS_MAX });
  const already = [
    /this server is s1\.lab\.test of puppet\.lab\.test already/,
    /understudy status/,
  ];
  await refused(s1, INIT, "setup.already-member", already);
  const { token } = await createToken();
  const join = "understudy join https://10.88.0.12:9140";
  await refused(s1, join, "setup.already-member", already.slice(0, 1), {
    env: { UNDERSTUDY_TOKEN: token },
  });
});

test("join refuses what is no token, or none", async () => {
  await joinRefused("U1.s.garbage", "token.malformed", [
    /no join token/,
    /understudy token create/,
  ]);
  await refused(s2, `understudy join ${URL}`, "cli.option", [/there is no token/]);
});

test("join says when nobody answers at the URL", async () => {
  const { token } = await createToken();
  await joinRefused(token, "join.unreachable", [/no cluster answers at 10\.88\.0\.12:9140/], {
    url: "https://10.88.0.12:9140",
  });
});

test("join sends nothing to a man in the middle, neither with a CA of his own nor with the cluster's", async () => {
  const { token } = await createToken();
  // The cluster's CA certificate is no secret: every handshake shows it.
  const control = "/var/lib/understudy/pki/authorities/control.crt";
  await s2.writeFile("/root/middle/real-ca.pem", await s1.readFile(control));
  await s2.run(MAKE_MIDDLE);
  for (const chain of ["own-ca.pem", "real-ca.pem"]) {
    const tls = `-cert leaf.pem -key leaf.key -cert_chain ${chain}`;
    const server = `cd /root/middle && exec openssl s_server -quiet -accept ${FAKE_PORT} -tls1_3 ${tls} > got`;
    const middle = await s2.start(server);
    await s2.untilHolds(`ss -Hltn | grep -q :${FAKE_PORT}`);
    await joinRefused(token, "join.wrong-ca", [/doesn't hold the cluster CA/, /Nothing was sent/], {
      url: `https://10.88.0.12:${FAKE_PORT}`,
    });
    assert.ok(
      !(await s2.exec("test -s /root/middle/got")).ok,
      "the man in the middle got something",
    );
    middle.kill();
    await middle.done;
  }
});

test("join refuses a token of another cluster", async () => {
  const { token } = await createToken();
  const other = token.replace(/[^.]+$/, "A".repeat(43));
  await joinRefused(other, "join.wrong-ca", [/of another cluster/]);
});

test("join refuses a token of another role", async () => {
  const { token } = await createToken();
  const asCompiler = token.replace("U1.s.", "U1.c.");
  await joinRefused(asCompiler, "token.role", [/for a server, not for a compiler/]);
});

test("five wrong secrets burn a token, also for who has the right one", async () => {
  const { token, id } = await createToken();
  const wrong = token.replace(/\.[^.]+(\.[^.]+)$/, `.${"A".repeat(43)}$1`);
  await joinRefused(wrong, "token.wrong-secret", [/secret is wrong/]);
  for (let more = 0; more < 4; more += 1)
    assert.equal(await exchange(s2, URL, wrong), "token.wrong-secret");
  await joinRefused(token, "token.burned", [
    /burned by 5 wrong secrets/,
    /understudy token create/,
  ]);
  assert.equal(await stateOf(id), "burned");
});

test("join refuses a revoked token", async () => {
  const { token, id } = await createToken();
  await s1.run(`understudy token revoke ${id}`);
  await joinRefused(token, "token.unknown", [/no such token/]);
});

test("join refuses a clock that is 10 minutes off", async () => {
  const { token, id } = await createToken();
  await joinRefused(
    token,
    "join.clock",
    [/clock is (?:599|60\d) s behind the cluster's; 60 s is the most/],
    {
      env: skewEnv("-10m"),
    },
  );
  await joinRefused(token, "join.clock", [/clock is (?:59\d|600|601) s ahead of the cluster's/], {
    env: skewEnv("+10m"),
  });
  assert.equal(await stateOf(id), "unused");
});

test("join refuses an expired token", async () => {
  const { token, id } = await createToken("--expires 1m");
  await withDaemonClock("+5m", async () => {
    await joinRefused(token, "token.expired", [/the token expired at \d{4}-/]);
    assert.equal(await stateOf(id), "expired");
  });
});

test("join refuses the name and the address of a member", async () => {
  const { token, id } = await createToken();
  await s2.run("puppet config set certname s1.lab.test --section main");
  await joinRefused(token, "join.name-taken", [
    /s1\.lab\.test is already a member/,
    /understudy member remove s1\.lab\.test/,
  ]);
  await s2.run("puppet config delete certname --section main");
  assert.equal(await exchange(s2, URL, token, s1.address), "join.address-taken");
  assert.equal(await stateOf(id), "unused");
});

test("join refuses to take a server that has a CA of its own", async () => {
  const { token } = await createToken();
  await s2.run("cp -a /var/lib/puppet/ssl /root/ssl && puppetserver ca setup");
  await joinRefused(token, "setup.preflight", [/join\.own-ca: this server has a CA of its own/]);
  await s2.run(`rm -rf ${CADIR} /var/lib/puppet/ssl && cp -a /root/ssl /var/lib/puppet/ssl`);
});

test("without quorum of etcd, join is refused, and its token stays good", async () => {
  const { token, id } = await createToken();
  await s1.run("systemctl stop understudy-etcd");
  // Its keys stay: they may be what the token is bound to.
  await joinRefused(token, "etcd", [/etcd/], { keysStay: true });
  await s1.run("systemctl start understudy-etcd");
  assert.equal(await until("the list", () => stateOf(id).catch(() => undefined), WAIT), "unused");
});

test("a token that another key has used is refused", async () => {
  const { token, id } = await createToken();
  assert.equal(await exchange(s2, URL, token), "admitted");
  await joinRefused(token, "token.used", [/already used by another server/]);
  assert.equal(await stateOf(id), "in use");
  await s1.run("understudy member remove other.lab.test --yes");
});

const WAIT = { withinMs: WAIT_MS_MAX, everyMs: 500 };

/** What a join makes before it asks. */
const KEYS = ["/var/lib/understudy/pki/*", "/var/lib/puppet/ssl/*_keys/*"];

/** A program that holds a port. */
const LISTEN = `
my $s = IO::Socket::INET->new(Listen => 1, LocalPort => $ARGV[0], ReuseAddr => 1) or die $!;
sleep while 1;`;

/** A leaf of the man in the middle's own CA, which has the name of the cluster's. */
const MAKE_MIDDLE = `
set -e
cd /root/middle
name=$(openssl x509 -noout -subject -nameopt RFC2253 -in real-ca.pem | sed 's/^subject=CN=//')
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -subj "/CN=$name" -days 30 -out own-ca.pem
openssl ecparam -name prime256v1 -genkey -noout -out leaf.key
openssl req -new -key leaf.key -subj /CN=s1.lab.test -out leaf.csr
printf 'subjectAltName=DNS:control.understudy,IP:10.88.0.12' > leaf.ext
openssl x509 -req -in leaf.csr -CA own-ca.pem -CAkey ca.key -CAcreateserial -days 30 \
  -extfile leaf.ext -out leaf.pem
`;

/** Tries to join s2 with `token`, which must be refused. */
async function joinRefused(
  token: string,
  code: string,
  texts: readonly RegExp[],
  how: { url?: string; env?: Record<string, string>; keysStay?: boolean } = {},
): Promise<void> {
  const join = `understudy join ${how.url ?? URL}`;
  const env = { ...how.env, UNDERSTUDY_TOKEN: token };
  await refused(s2, join, code, texts, { env, except: how.keysStay === true ? KEYS : [] });
}

async function createToken(options = ""): Promise<z.infer<typeof Created>> {
  return Created.parse(JSON.parse(await s1.run(`understudy token create --json ${options}`)));
}

async function stateOf(id: string): Promise<string | undefined> {
  const tokens = Tokens.parse(JSON.parse(await s1.run("understudy token list --json")));
  return tokens.find((token) => token.id === id)?.state;
}

/** Runs `body` while the daemon of s1 has a wrong clock. */
async function withDaemonClock(offset: string, body: () => Promise<void>): Promise<void> {
  const set = async (to: string | undefined) => {
    await s1.skewClock(to, ["understudy.service"]);
    await s1.run("systemctl restart understudy.service");
    const lists = async () => (await s1.exec("understudy token list")).ok;
    await until("the daemon reads the record", lists, WAIT);
  };
  await set(offset);
  try {
    await body();
  } finally {
    await set(undefined);
  }
}
