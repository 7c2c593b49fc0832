import assert from "node:assert/strict";
import { test } from "node:test";
import {
  editPuppetdbConf,
  editRoutes,
  readServerSettings,
  ROUTES,
  setServerSettings,
  wantedSettings,
} from "./terminus.ts";

const FILE = "/etc/puppet/puppet.conf";
const URLS = ["https://s1.test:8081", "https://s2.test:8081"];

/** puppet.conf before, and with PuppetDB. */
const CONFS: [string, string][] = [
  [
    "",
    "\n[server]\nstoreconfigs = true\nstoreconfigs_backend = puppetdb\nreports = store,puppetdb\n",
  ],
  [
    "[main]\nserver = x\nreports = http, store\n",
    "[main]\nserver = x\nreports = http, store\n[server]\nstoreconfigs = true\nstoreconfigs_backend = puppetdb\nreports = http,store,puppetdb\n",
  ],
  [
    "[master]\n# ours\nreports = none\nstoreconfigs = false\n",
    "[master]\nstoreconfigs_backend = puppetdb\n# ours\nreports = puppetdb\nstoreconfigs = true\n",
  ],
];

test("setServerSettings writes where puppetserver looks first, and gives back what was there", () => {
  for (const [before, after] of CONFS) {
    const former = readServerSettings(before, FILE);
    const edited = setServerSettings(before, wantedSettings(before, FILE), FILE);
    assert.equal(edited.trimStart(), after.trimStart());
    assert.equal(setServerSettings(edited, wantedSettings(edited, FILE), FILE), edited);
    assert.equal(setServerSettings(edited, former, FILE).trim(), before.trim());
  }
  assert.throws(() => wantedSettings("[main]\nnonsense\n", FILE), /puppet\.conf:2: a line NAME/);
});

test("editPuppetdbConf sets the URLs and takes out what would send a command twice", () => {
  const wanted = `[main]\nserver_urls = ${URLS.join(",")}\n`;
  assert.equal(editPuppetdbConf("", URLS, "x"), wanted);
  assert.equal(editPuppetdbConf(wanted, URLS, "x"), wanted);
  const before =
    "# mine\n[main]\nserver_urls = https://p:8081\ncommand_broadcast = true\nserver_url_timeout = 9\n";
  assert.equal(
    editPuppetdbConf(before, URLS, "x"),
    `# mine\n[main]\nserver_urls = ${URLS.join(",")}\nserver_url_timeout = 9\n`,
  );
  assert.throws(() => editPuppetdbConf("[global]\na = b\n", URLS, "x"), /only a section \[main\]/);
});

test("editRoutes makes the file, knows its own, and refuses others' routes", () => {
  assert.equal(editRoutes("", "x"), ROUTES);
  assert.equal(editRoutes(ROUTES, "x"), ROUTES);
  const older = "---\nmaster:\n  facts:\n    terminus: puppetdb  # ours\n";
  assert.equal(editRoutes(older, "x"), older);
  assert.throws(
    () => editRoutes("server:\n  catalog:\n    terminus: store\n", "x"),
    /routes of its/,
  );
});
