import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { certificatePem } from "../x509/certificate.ts";
import { generateEcKey } from "../x509/keys.ts";
import { authority, NOW_MS } from "../x509/testing/authority.ts";
import { createExpiryWatch } from "./expiry-watch.ts";

const DAY_MS = 86_400_000;
/** The leaves of testing/authority.ts last so long from its NOW_MS. */
const LEAF_DAYS = 5 * 365;

test("the expiry watch tells of this server's certificate once a day, and no more once it is renewed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-expiry-"));
  try {
    const key = generateEcKey();
    const hostcert = join(folder, "host.pem");
    await writeFile(hostcert, certificatePem(authority(key).leaf(key)));
    const logged: string[] = [];
    let nowMs = NOW_MS;
    const watch = createExpiryWatch({
      node: { id: "s1", role: "server" },
      hostcert,
      ofCa: () => [],
      ofTokens: () => [],
      apiCertificate: () => undefined,
      wallMs: () => nowMs,
      log: createLog((line) => logged.push(line)),
    });
    const told = async (days: number) => {
      nowMs = NOW_MS + days * DAY_MS;
      logged.length = 0;
      await watch.tick();
      return logged.filter((line) => line.includes(hostcert)).length;
    };
    assert.equal(await told(LEAF_DAYS - 91), 0);
    assert.deepEqual(
      watch.expiries().map(({ kind, what }) => [kind, what]),
      [["server-certificate", hostcert]],
    );
    assert.equal(await told(LEAF_DAYS - 80), 1);
    assert.equal(await told(LEAF_DAYS - 79.5), 0);
    assert.equal(await told(LEAF_DAYS - 79), 1);
    await rm(hostcert);
    assert.equal(await told(LEAF_DAYS - 78), 0);
    await writeFile(hostcert, "-----BEGIN CERTIFICATE-----\n");
    assert.equal(await told(LEAF_DAYS - 77), 1);
    assert.match(logged.join(""), /can't be read/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the expiry watch knows what the API shows, of a chain its own, and tokens that last", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-expiry-"));
  try {
    const key = generateEcKey();
    const { leaf } = authority(key);
    const chain = join(folder, "chain.pem");
    await writeFile(chain, `${certificatePem(leaf(key))}${certificatePem(leaf(generateEcKey()))}`);
    const [from, to] = ["2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"];
    const token = { kind: "access-token", what: "grafana", from, to };
    const watch = createExpiryWatch({
      node: { id: "s1", role: "server" },
      hostcert: join(folder, "none.pem"),
      ofCa: () => [],
      ofTokens: () => [token],
      apiCertificate: () => chain,
      wallMs: () => NOW_MS,
      log: createLog(() => undefined),
    });
    await watch.tick();
    assert.deepEqual(
      watch.expiries().map(({ kind, what }) => [kind, what]),
      [
        ["access-token", "grafana"],
        ["api-certificate", chain],
      ],
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
