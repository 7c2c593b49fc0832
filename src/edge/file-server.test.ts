// The file server over real CA directories: what it serves, and that nothing else comes out of it.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { request, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { createFileServer, findCaDirectory } from "./file-server.ts";

const pem = (what: string) => `-----BEGIN ${what}-----\nAAAA\n-----END ${what}-----\n`;

describe("createFileServer", () => {
  let folder = "";
  const server = () => createFileServer(join(folder, "ca"));
  let running: ReturnType<typeof server>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "files-"));
    const put = async (path: string, text: string) => {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    };
    await put("ca/ca_crt.pem", pem("CA"));
    await put("ca/ca_crl.pem", pem("X509 CRL"));
    await put("ca/ca_key.pem", pem("SECRET"));
    await put("ca/signed/web1.example.com.pem", pem("WEB1"));
    await put("ca/signed/empty.pem", "");
    await put("ca/signed/half.pem", "-----BEGIN CERTIFICATE-----\nAAA");
    running = server();
    await new Promise<void>((resolve) => running.listen(join(folder, "sock"), resolve));
  });
  after(async () => {
    running.close();
    await rm(folder, { recursive: true, force: true });
  });

  const ask = async (path: string, method = "GET", headers = {}) =>
    new Promise<{ status: number; text: string; type: string | undefined }>((resolve, reject) => {
      const socketPath = join(folder, "sock");
      const asked = request({ socketPath, path, method, headers, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          const type = response.headers["content-type"];
          resolve({ status: response.statusCode ?? 0, text, type });
        });
      });
      asked.on("error", reject).end();
    });

  const CASES: [string, number, string][] = [
    ["/health", 200, "running"],
    ["/puppet-ca/v1/certificate/ca", 200, pem("CA")],
    ["/puppet-ca/v1/certificate/ca?environment=production", 200, pem("CA")],
    ["/puppet-ca/v1/certificate/web1.example.com", 200, pem("WEB1")],
    ["/puppet-ca/v1/certificate_revocation_list/ca", 200, pem("X509 CRL")],
    ["/puppet-ca/v1/certificate_revocation_list/anything", 200, pem("X509 CRL")],
    ["/puppet-ca/v1/certificate/nobody", 404, "Could not find certificate nobody"],
    ["/puppet-ca/v1/certificate/WEB1.example.com", 404, "Could not find certificate WEB1"],
    ["/puppet-ca/v1/certificate/empty", 503, "damaged"],
    ["/puppet-ca/v1/certificate/half", 503, "damaged"],
    ["/puppet-ca/v1/certificate/..%2fca_key", 404, "Could not find"],
    ["/puppet-ca/v1/certificate/../ca_key", 503, "No certificate authority answers"],
    ["/puppet-ca/v1/certificate/..", 404, "Could not find"],
    ["/puppet-ca/v1/certificate/.hidden", 404, "Could not find"],
    ["/puppet-ca/v1/certificate/ca%0a", 404, "Could not find"],
    [`/puppet-ca/v1/certificate/${"a".repeat(300)}`, 404, "Could not find"],
    ["/puppet-ca/v1/certificate_request/web1.example.com", 503, "No certificate authority answers"],
    ["/puppet-ca/v1/certificate_statuses/all", 503, "No certificate authority answers"],
    ["/", 503, "No certificate authority answers"],
  ];
  for (const [path, status, text] of CASES) {
    test(`createFileServer answers GET ${path.slice(0, 60)} with ${status}`, async () => {
      const answer = await ask(path);
      assert.equal(answer.status, status);
      assert.ok(answer.text.includes(text), answer.text);
      assert.ok(!answer.text.includes("SECRET"));
      assert.equal(answer.type, "text/plain");
    });
  }

  test("createFileServer answers with the file itself, however new the agent's copy is", async () => {
    const headers = { "if-modified-since": new Date(Date.now() + 86_400_000).toUTCString() };
    const answer = await ask("/puppet-ca/v1/certificate_revocation_list/ca", "GET", headers);
    assert.equal(answer.status, 200);
  });

  test("createFileServer tells who has a certificate that it has one, and nobody else", async () => {
    const put = async (name: string) => ask(`/puppet-ca/v1/certificate_request/${name}`, "PUT");
    const known = await put("web1.example.com");
    assert.equal(known.status, 400);
    assert.match(known.text, /web1\.example\.com already has a signed certificate/);
    for (const name of ["nobody", "ca", "..%2fca_key", ".hidden"]) {
      assert.equal((await put(name)).status, 503, name);
    }
  });

  test("createFileServer holds one CRL in memory for all who take it slowly, and the newest for who asks next", async () => {
    const bytes = 4 * 1024 * 1024;
    const agents = 30;
    const path = join(folder, "ca/ca_crl.pem");
    const put = async (filling: string) => {
      await writeFile(`${path}.new`, `${filling.repeat(bytes)}\n${pem("X509 CRL")}`);
      await rename(`${path}.new`, path);
    };
    const answers: ServerResponse[] = [];
    const note = (_: unknown, answer: ServerResponse) => answers.push(answer);
    await put("a");
    running.on("request", note);
    const before = process.memoryUsage().arrayBuffers;
    // Nobody reads: what the server has written stays with it, but for what fits in the socket.
    const slow = Array.from({ length: agents }, () => connect(join(folder, "sock")));
    try {
      for (const socket of slow) {
        socket.pause().write("GET /puppet-ca/v1/certificate_revocation_list/ca HTTP/1.1\r\n");
        socket.write("host: files\r\n\r\n");
      }
      const begun = () =>
        answers.length === agents && answers.every(({ writableEnded }) => writableEnded);
      await until("all answers are under way", begun, { withinMs: 60_000, everyMs: 20 });
      assert.ok(process.memoryUsage().arrayBuffers - before < 6 * bytes);
      await put("b");
      const { text } = await ask("/puppet-ca/v1/certificate_revocation_list/ca");
      assert.ok(text.startsWith("b") && text.length > bytes);
    } finally {
      running.off("request", note);
      for (const socket of slow) socket.destroy();
      await writeFile(path, pem("X509 CRL"));
    }
  });

  for (const method of ["PUT", "POST", "DELETE", "HEAD"]) {
    test(`createFileServer refuses ${method}`, async () => {
      assert.equal((await ask("/puppet-ca/v1/certificate/ca", method)).status, 503);
    });
  }
});

describe("findCaDirectory", () => {
  let root = "";
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "cadir-"));
  });
  after(async () => rm(root, { recursive: true, force: true }));

  test("findCaDirectory says where it looked, then prefers the setting over the packages' places", async () => {
    await assert.rejects(findCaDirectory(root), (error) => isFault(error, "edge.no-ca-directory"));
    await put("var/lib/puppet/real/ca_crt.pem", pem("CA"));
    await mkdir(join(root, "var/lib/puppet/ssl"), { recursive: true });
    await symlink(join(root, "var/lib/puppet/real"), join(root, "var/lib/puppet/ssl/ca"));
    assert.equal(await findCaDirectory(root), join(root, "var/lib/puppet/ssl/ca"));
    await put("etc/puppet/puppetserver/ca/ca_crt.pem", pem("CA"));
    assert.equal(await findCaDirectory(root), join(root, "etc/puppet/puppetserver/ca"));
    await put("srv/ca/ca_crt.pem", pem("CA"));
    await put("etc/puppet/puppet.conf", "[main]\n#cadir = /no\n[server]\n  cadir = /srv/ca\n");
    assert.equal(await findCaDirectory(root), join(root, "srv/ca"));
  });
});
