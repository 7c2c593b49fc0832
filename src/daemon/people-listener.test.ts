// The API's listener as it follows its settings: real ports, real certificates.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { after, before, test } from "node:test";
import { createHealthApp } from "../api/health-app.ts";
import { createTestTls } from "../api/testing/people.ts";
import { isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { ApiSettings } from "../cluster/schema.ts";
import { freePorts } from "../host/testing/ports.ts";
import { createPeopleListener, type PeopleListeners, planPeople } from "./people-listener.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-people-"));
});
after(async () => rm(folder, { recursive: true }));

const wish = (more: Partial<ApiSettings>): ApiSettings => {
  return { ...ApiSettings.parse({ address: "127.0.0.1" }), ...more };
};

/** Writes a new certificate and its key; returns the files, and its serial. */
async function writeTls(name: string): Promise<{ cert: string; key: string }> {
  const { cert, key } = createTestTls();
  const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
  return files;
}

/** The serial of the certificate that is shown at `port`; undefined where nobody listens. */
async function shownAt(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber);
      socket.destroy();
    });
    socket.on("error", () => resolve(undefined));
  });
}

const answers = async (port: number) =>
  fetch(`http://127.0.0.1:${port}/health/live`).then(
    ({ status }) => status,
    () => undefined,
  );

async function create(name: string) {
  const own = await writeTls(name);
  const api = createHealthApp(() => ({ ok: true, because: "" }));
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line));
  return { own, lines, listener: createPeopleListener({ api, health: api, own, log }) };
}

test("planPeople opens, moves, renews and closes; nothing when all is as it is to be", () => {
  const at = (port: number) => `127.0.0.1, port ${port}`;
  const none: PeopleListeners = { api: undefined, health: undefined };
  const open = (port: number, certificate = "a"): PeopleListeners => {
    return { api: { where: at(port), certificate }, health: undefined };
  };
  const both = { ...open(1), health: { where: at(2) } };
  for (const [wanted, now, certificate, expected] of [
    [undefined, none, undefined, []],
    [undefined, both, undefined, ["close-api", "close-health"]],
    [wish({ port: 1 }), none, "a", ["open-api"]],
    [wish({ port: 1 }), open(1), "a", []],
    [wish({ port: 1 }), open(1), "b", ["reload-api"]],
    [wish({ port: 3 }), open(1), "a", ["close-api", "open-api"]],
    [wish({ port: 1, address: "10.0.0.1" }), open(1), "a", ["close-api", "open-api"]],
    [wish({ port: 1, healthPort: 2 }), open(1), "a", ["open-health"]],
    [wish({ port: 1, healthPort: 2 }), both, "a", []],
    [wish({ port: 1 }), both, "a", ["close-health"]],
    // No certificate can be read: what is open stays, and the rest goes on.
    [wish({ port: 1, healthPort: 2 }), open(1), undefined, ["open-health"]],
    [wish({ port: 1 }), none, undefined, []],
  ] as const) {
    const planned = planPeople(wanted, now, certificate).map((action) => action.do);
    assert.deepEqual(planned, expected, JSON.stringify([wanted, now, certificate]));
  }
});

test("createPeopleListener opens where it is told, takes a renewed certificate, and closes", async () => {
  const { own, listener } = await create("own");
  const [port = 0, other = 0, health = 0] = await freePorts(3);
  await listener.tick(undefined);
  assert.equal(listener.isOpen(), false);
  await listener.tick(wish({ port, healthPort: health }));
  const first = await shownAt(port);
  assert.ok(first !== undefined);
  assert.equal(await answers(health), 200);

  await writeTls("own");
  await listener.tick(wish({ port, healthPort: health }));
  const renewed = await shownAt(port);
  assert.ok(renewed !== undefined && renewed !== first);

  const site = await writeTls("site");
  await listener.tick(wish({ port: other, certificate: site }));
  assert.ok(![undefined, first, renewed].includes(await shownAt(other)));
  assert.deepEqual([await shownAt(port), await answers(health)], [undefined, undefined]);

  await writeFile(own.cert, "no certificate");
  await listener.tick(undefined);
  assert.deepEqual([listener.isOpen(), await shownAt(other)], [false, undefined]);
  await listener.close();
});

test("createPeopleListener goes on with what is open when its certificate can't be read", async () => {
  const { own, listener } = await create("broken");
  const [port = 0, health = 0] = await freePorts(2);
  await listener.tick(wish({ port }));
  const first = await shownAt(port);
  const { key } = await writeTls("another");
  for (const [cert, keyFile] of [
    [own.cert, key],
    [own.cert, join(folder, "absent.key")],
    [own.key, own.key],
  ] as const) {
    const settings = wish({ port, healthPort: health, certificate: { cert, key: keyFile } });
    await assert.rejects(listener.tick(settings), (error) => isFault(error, "api.certificate"));
    assert.equal(await shownAt(port), first);
    assert.equal(await answers(health), 200, "the rest is done all the same");
  }
  await listener.tick(wish({ port }));
  await listener.close();
});

test("createPeopleListener says who is in the way, and opens as soon as nobody is", async () => {
  const { listener, lines } = await create("taken");
  const [port = 0] = await freePorts(1);
  const squatter = createServer();
  await new Promise<void>((resolve) => squatter.listen(port, "127.0.0.1", () => resolve()));
  await assert.rejects(
    listener.tick(wish({ port })),
    (error) => isFault(error, "api.listen") && error.message.includes(String(port)),
  );
  assert.equal(listener.isOpen(), false);
  assert.deepEqual(lines, [], "the loop tells of it, once");
  await new Promise((resolve) => squatter.close(resolve));
  await listener.tick(wish({ port }));
  assert.ok((await shownAt(port)) !== undefined);
  await listener.close();
});
