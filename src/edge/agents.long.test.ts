// Who an agent is, as real HAProxy establishes it: headers, certificates it must refuse, and
// bodies.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { after, before, describe, test } from "node:test";
import { parseCertificate } from "../x509/certificate.ts";
import { until } from "../base/retry.ts";
import { edgePaths, muteMax } from "./config.ts";
import { parseInfo } from "./parse.ts";
import { issuerKey, revocationKey } from "./identity.ts";
import { edgeRuntime } from "./runtime.ts";
import { confirmRevoked } from "./revocations.ts";
import { TestEdge } from "./testing/edge.ts";
import type { Leaf, LeafOptions } from "./testing/pki.ts";

const CATALOG = "/puppet/v3/catalog/agent1.test";

// Side by side, since most of it is waiting.
describe("an edge", { concurrency: true, timeout: 240_000 }, () => {
  describe("identity at the edge", { concurrency: true, timeout: 240_000 }, () => {
    let edge: TestEdge;
    before(async () => {
      edge = await TestEdge.start({ puppetservers: 1 });
    });
    after(async () => edge[Symbol.asyncDispose]());

    const SPELLINGS = [
      "X-Client-DN",
      "x-client-dn",
      "X-CLIENT-DN",
      "X_Client_DN",
      "X-Client_DN",
      "x_client-dn",
      "X-Client-Verify",
      "X-Client-Cert",
      "X-Client-Anything",
      "X--Client-DN",
      "XClient-DN",
      "X-Client",
      "X-Understudy-Lost",
      "X-Understudy-Arrived",
    ];
    for (const spelling of SPELLINGS) {
      test(`a header ${spelling} from outside reaches no puppetserver`, async () => {
        const said = { [spelling]: "CN=evil" };
        const [none, own] = await Promise.all([
          edge.ask(CATALOG, { leaf: null, headers: said }),
          edge.ask(CATALOG, { headers: said }),
        ]);
        assert.ok(!JSON.stringify([none.json.headers, own.json.headers]).includes("evil"));
        assert.equal(none.json.headers["x-client-verify"], "NONE");
        assert.equal(none.json.headers["x-client-dn"], undefined);
        assert.equal(none.json.headers["x-client-cert"], undefined);
        assert.equal(own.json.headers["x-client-dn"], "CN=agent1.test");
      });
    }

    test("a verified certificate becomes the three headers that puppetserver reads", async () => {
      const { headers } = (await edge.ask(CATALOG)).json;
      assert.equal(headers["x-client-verify"], "SUCCESS");
      assert.equal(headers["x-client-dn"], "CN=agent1.test");
      const pem = decodeURIComponent(headers["x-client-cert"] ?? "").replaceAll("\n", "");
      assert.equal(pem, edge.pki.agent.cert.replaceAll("\n", ""));
    });

    test("where a request comes from is what the edge saw, not what somebody says", async () => {
      const headers = { "X-Forwarded-For": "192.0.2.1" };
      const said = (await edge.ask(CATALOG, { headers })).json.headers;
      assert.equal(said["x-forwarded-for"], "127.0.0.1");
    });

    test("one connection carries its identity to each of its requests and to no other's", async () => {
      const first = edge.connection();
      const second = edge.connection(null);
      for (let round = 0; round < 3; round += 1) {
        const [one, other] = await Promise.all([
          edge.ask(CATALOG, { agent: first }),
          edge.ask(CATALOG, { agent: second }),
        ]);
        assert.equal(one.json.headers["x-client-dn"], "CN=agent1.test");
        assert.equal(other.json.headers["x-client-verify"], "NONE");
      }
    });

    const SUBJECTS: [string, string, number, string[]?][] = [
      ["a plain certname", "/CN=web1.example.com", 200],
      ["an underscore first", "/CN=_x.y", 200],
      ["a trailing dot", "/CN=rootca.", 200],
      ["a single label", "/CN=web", 200],
      ["capitals", "/CN=Web1.example.com", 403],
      ["a wildcard", "/CN=*.example.com", 403],
      ["a label that ends in a dash", "/CN=a-.b", 403],
      ["a dash first", "/CN=-a", 403],
      ["an empty label", "/CN=a..b", 403],
      ["a space", "/CN=web1 x", 403],
      ["a newline at the end", "/CN=web1\n", 403],
      ["two common names", "/CN=web1/CN=admin", 403],
      ["an organisation as well", "/O=x/CN=web1", 403],
      ["a multi-valued name", "/CN=web1+OU=x", 403, ["-multivalue-rdn"]],
      ["no common name", "/O=web1", 403],
      ["a comma", "/CN=web1,O=x", 403],
    ];
    for (const [index, [what, subject, status, more]] of SUBJECTS.entries()) {
      test(`a certificate with ${what} gets ${status}`, async () => {
        const leaf = await edge.pki.pki.leaf(`subject${index}`, {
          subject,
          ca: "issuing",
          ...(more === undefined ? {} : { more }),
        });
        const answer = await edge.ask(CATALOG, { leaf });
        assert.equal(answer.status, status);
        if (status === 403) assert.match(answer.text, /refused \(subject\)/);
      });
    }

    test("a certificate that the root issued itself is refused", async () => {
      const leaf = await edge.pki.pki.leaf("byroot", { subject: "/CN=web1", ca: "root" });
      const answer = await edge.ask(CATALOG, { leaf });
      assert.equal(answer.status, 403);
      assert.match(answer.text, /refused \(issuer\)/);
    });

    test("a certificate of another CA that has our issuer's name opens nothing", async () => {
      const { pki } = edge.pki;
      await pki.root("namesake", "/CN=Puppet CA: s1.test");
      const leaf = await pki.leaf("bynamesake", { subject: "/CN=agent1.test", ca: "namesake" });
      assert.equal(await pki.issuerText("bynamesake"), edge.pki.issuer);
      for (const path of [CATALOG, "/puppet-ca/v1/certificate/ca"]) {
        await assert.rejects(edge.ask(path, { leaf }));
      }
    });

    test("a header that a client calls hop-by-hop isn't dropped for it", async () => {
      const Connection = "close, X-Client-Verify, X-Client-DN, X-Client-Cert";
      const { headers } = (await edge.ask(CATALOG, { headers: { Connection } })).json;
      assert.equal(headers["x-client-verify"], "SUCCESS");
      assert.equal(headers["x-client-dn"], "CN=agent1.test");
      assert.ok(headers["x-client-cert"]?.startsWith("-----BEGIN%20CERTIFICATE-----"));
    });

    test("a certificate of the edge's own CA opens nothing", async () => {
      await assert.rejects(edge.ask(CATALOG, { leaf: edge.pki.edgeClient }));
    });

    const SERIALS = ["0x01", "0x0f", "0x10", "0x80", "0xff", "0x0100", "0x7fffffff", "0x80000000"];
    for (const serial of SERIALS) {
      test(`revocationKey names the certificate with serial ${serial} as HAProxy does`, async () => {
        const name = `serial${serial}`;
        const leaf = await edge.pki.pki.leaf(name, {
          subject: `/CN=s${serial}`,
          ca: "issuing",
          serial,
        });
        assert.equal((await edge.ask(CATALOG, { leaf })).status, 200);
        const agent = edge.connection(leaf);
        assert.equal((await edge.ask(CATALOG, { agent })).status, 200);
        const key = revocationKey(edge.pki.issuer, serial.slice(2));
        const told = await confirmRevoked(edgeRuntime(edge.config), edge.config.stateDir, [key]);
        assert.deepEqual(told, { workers: 1, confirmed: true, ended: [], because: "" });
        for (const answer of [
          await edge.ask(CATALOG, { leaf }),
          await edge.ask(CATALOG, { agent }),
        ]) {
          assert.equal(answer.status, 403);
          assert.match(answer.text, /refused \(revoked\)/);
        }
        assert.equal((await edge.ask(CATALOG)).status, 200);
      });
    }
  });

  describe("issuers at the edge", { concurrency: true, timeout: 240_000 }, () => {
    const ISSUERS = [
      '/CN=Puppet CA: über, "quoted" \\+ more <x>; y\\\\z',
      "/C=DE/O=Example/OU=IT/CN=Puppet CA/emailAddress=ca@example.com",
      "/DC=com/DC=example/CN=#ca ",
      "/jurisdictionC=DE/businessCategory=Private/postalAddress=Way 1/pseudonym=x/CN=ca",
    ];
    for (const [index, subject] of ISSUERS.entries()) {
      test(`issuerKey is HAProxy's own for an issuer ${subject}`, async () => {
        await using edge = await TestEdge.make({ puppetservers: 1 });
        const { pki } = edge.pki;
        const ca = `ca${index}`;
        await pki.leaf(ca, { subject, ca: "root", isCa: true });
        const options: LeafOptions = { subject: "/CN=web1", ca, serial: "0x05" };
        const leaf: Leaf = await pki.leaf(`byother${index}`, options);
        const puppetCaFile = await pki.bundle(`bundle${index}.pem`, ["issuing", ca, "root"]);
        const issuer = await pki.issuerText(`byother${index}`);
        assert.equal(parseCertificate(leaf.cert).issuerText, issuer);
        const config = { ...edge.config, puppetCaFile, issuers: [edge.pki.issuer, issuer] };
        await using running = edge.with(config);
        await running.startToy("p1");
        await running.startHaproxy();
        assert.equal((await running.ask(CATALOG, { leaf })).status, 200, issuerKey(issuer));
        assert.equal((await running.ask(CATALOG)).status, 200);
        await confirmRevoked(edgeRuntime(config), config.stateDir, [revocationKey(issuer, "5")]);
        assert.equal((await running.ask(CATALOG, { leaf })).status, 403);
      });
    }
  });

  describe("what arrives at the edge", { concurrency: true, timeout: 240_000 }, () => {
    let edge: TestEdge;
    before(async () => {
      edge = await TestEdge.start({ puppetservers: 1 });
    });
    after(async () => edge[Symbol.asyncDispose]());

    for (const chunked of [false, true]) {
      for (const bytes of [0, 1, 300_000, 1_000_000, 1_015_808, 1_048_576, 3_000_000]) {
        const how = chunked ? "in chunks" : "with its length";
        test(`a body of ${bytes} bytes ${how} arrives whole and with its identity`, async () => {
          const answer = await edge.ask(CATALOG, { body: Buffer.alloc(bytes, "a"), chunked });
          assert.equal(answer.status, 200);
          assert.equal(answer.json.bodyBytes, bytes);
          assert.equal(answer.json.headers["x-client-dn"], "CN=agent1.test");
        });
      }
    }

    test("an answer of 3 MB arrives whole, and Retry-After never does", async () => {
      const answer = await edge.ask(`${CATALOG}?bytes=3000000&retryafter=5`);
      assert.ok(answer.text.length > 3_000_000);
      assert.equal(answer.headers["retry-after"], undefined);
    });

    const GARBAGE: [string, Buffer][] = [
      ["plain HTTP", Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n")],
      ["zeros", Buffer.alloc(100_000)],
      ["noise", Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 251))],
    ];
    for (const [what, bytes] of GARBAGE) {
      test(`${what} on the port ends that connection and nothing else`, async () => {
        await new Promise<void>((resolve) => {
          const socket = connect(edge.config.bind[0]?.port ?? 0, "127.0.0.1");
          socket.on("error", () => undefined).on("close", () => resolve());
          socket.resume().write(bytes);
        });
        assert.equal((await edge.ask(CATALOG)).status, 200);
      });
    }

    test("broken HTTP gets 400", async () => {
      const text = await new Promise<string>((resolve, reject) => {
        const port = edge.config.bind[0]?.port ?? 0;
        const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
        let said = "";
        socket.setEncoding("utf8").on("data", (chunk: string) => (said += chunk));
        socket.on("error", reject).on("end", () => resolve(said));
        socket.write("GET / HTTP/1.1\r\nX-Client-DN : CN=evil\r\n\r\n");
      });
      assert.match(text, /^HTTP\/1\.1 400/);
    });
  });

  test("an outer balancer's connections start with the PROXY protocol, which tells the agent's address", async () => {
    await using edge = await TestEdge.start({ puppetservers: 1, acceptProxyFrom: ["127.0.0.2"] });
    const answer = await new Promise<string>((resolve, reject) => {
      const port = edge.config.bind[0]?.port ?? 0;
      const plain = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" });
      plain.on("error", reject).write("PROXY TCP4 192.0.2.7 127.0.0.1 1000 8140\r\n");
      const socket = connectTls({ socket: plain, rejectUnauthorized: false });
      let said = "";
      socket.setEncoding("utf8").on("data", (chunk: string) => (said += chunk));
      socket.on("error", reject).on("end", () => resolve(said));
      socket.write(`GET ${CATALOG}?status=500 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    });
    assert.match(answer, /^HTTP\/1\.1 500/);
    await edge.logged(/from=192\.0\.2\.7 /);
    assert.equal((await edge.ask(CATALOG)).status, 200);
  });

  test("a client whose connections say nothing keeps no other source out, and a whole fleet may have one address", async () => {
    await using edge = await TestEdge.make({ puppetservers: 1, memoryMiB: 1 });
    const backends = edge.config.backends.map((backend) => ({ ...backend, jrubies: 100 }));
    await using small = edge.with({ ...edge.config, backends });
    await small.startToy("p1");
    await small.startHaproxy();
    const port = small.config.bind[0]?.port ?? 0;
    const taken = async () => {
      const text = await edgeRuntime(small.config)
        .ask("show info")
        .catch(() => "");
      return Number(parseInfo(text).get("CurrConns") ?? 0) >= muteMax(1);
    };
    const mute = Array.from({ length: 70 }, () =>
      connect({ port, host: "127.0.0.1", localAddress: "127.0.0.9" }).on("error", () => undefined),
    );
    await until("the edge has taken the silent ones", taken, { withinMs: 60_000, everyMs: 20 });
    assert.equal((await small.ask(CATALOG)).status, 200);
    for (const socket of mute) socket.destroy();

    const fleet: Promise<{ status: number }>[] = [];
    for (let index = 0; index < 60; index += 1) {
      fleet.push(small.ask(`${CATALOG}?id=f${index}&gate=go`));
      await small.begun(`f${index}`);
    }
    await small.open("go");
    assert.ok((await Promise.all(fleet)).every(({ status }) => status === 200));
  });

  test("50,000 revocations are read at the start", async () => {
    await using edge = await TestEdge.make({ puppetservers: 1 });
    const keys = Array.from({ length: 50_000 }, (_, index) =>
      revocationKey(edge.pki.issuer, (index + 1000).toString(16)),
    );
    const own = revocationKey(edge.pki.issuer, "a");
    await writeFile(
      edgePaths(edge.config).revoked,
      [...keys, own].map((key) => `${key}\n`).join(""),
    );
    await edge.startToy("p1");
    await edge.startHaproxy();
    assert.equal((await edge.ask(CATALOG)).status, 403);
    assert.equal((await edge.ask(CATALOG, { leaf: null })).status, 200);
    const told = await confirmRevoked(edgeRuntime(edge.config), edge.config.stateDir, keys);
    assert.deepEqual(told, { workers: 1, confirmed: true, ended: [], because: "" });
  });
});
