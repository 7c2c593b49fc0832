import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { editAuthConf } from "./auth-conf.ts";
import { caServiceOn, editCaCfg } from "./ca-cfg.ts";
import { editPuppetConf } from "./puppet-conf.ts";
import { editWebserverConf, type ListenerConfig } from "./webserver-conf.ts";

const LISTENER: ListenerConfig = {
  address: "0.0.0.0",
  port: 8141,
  cert: "/pki/cert.pem",
  key: "/pki/key.pem",
  caCert: "/pki/ca.pem",
  crl: "/pki/crl.pem",
};
const web = (text: string) => editWebserverConf(text, LISTENER, "/etc/webserver.conf");
const auth = (text: string) => editAuthConf(text, "/etc/auth.conf");
const ca = (text: string) => editCaCfg(text, "/etc/ca.cfg");
const conf = (text: string) => editPuppetConf(text, "puppet.lab.test", "/etc/puppet.conf").text;

function refuses(edit: () => unknown, pattern: RegExp): void {
  assert.throws(
    edit,
    (error) => isFault(error, "puppetserver.config-unknown") && pattern.test(error.message),
  );
}

test("editWebserverConf gives the stock file a listener of its own and keeps its log", () => {
  const stock = `webserver: {
    access-log-config: /etc/puppet/request-logging.xml
    client-auth: want
    ssl-host: 0.0.0.0
    ssl-port: 8140
}
`;
  const edited = web(stock);
  assert.equal(
    edited,
    `webserver: {
    access-log-config: /etc/puppet/request-logging.xml
    client-auth: need
    ssl-host: 0.0.0.0
    ssl-port: 8141
    ssl-cert: /pki/cert.pem
    ssl-key: /pki/key.pem
    ssl-ca-cert: /pki/ca.pem
    ssl-crl-path: /pki/crl.pem
}
`,
  );
  assert.equal(web(edited), edited);
});

test("editWebserverConf keeps comments, order, commas and known settings, on one line too", () => {
  const own = `# ours
webserver {
  ssl-protocols = [TLSv1.3, TLSv1.2] // both
  "ssl-port" = 8140, max-threads: 100 # enough
}`;
  const edited = web(own);
  assert.match(
    edited,
    /^# ours\nwebserver \{\n {2}ssl-protocols = \[TLSv1\.3, TLSv1\.2\] \/\/ both/,
  );
  assert.match(edited, /"ssl-port" = 8141, max-threads: 100 # enough\n {2}client-auth: need/);
  assert.equal(web(edited), edited);
  const short = web("webserver: { ssl-port: 8140 }");
  assert.match(short, /ssl-port: 8141\n {4}client-auth: need/);
  assert.equal(web(short), short);
});

test("editWebserverConf quotes what can't stand bare", () => {
  const edited = editWebserverConf("webserver: {}", { ...LISTENER, address: "::" }, "f");
  assert.match(edited, /ssl-host: "::"/);
  assert.equal(editWebserverConf(edited, { ...LISTENER, address: "::" }, "f"), edited);
});

const WEB_REFUSED: [string, string, RegExp][] = [
  ["a plain HTTP port", "webserver: {\n  port: 8139\n}", /webserver\.conf:2: "port"/],
  ["several servers", "webserver: {\n a: { ssl-port: 1 }\n}", /:2: one server was expected/],
  ["a setting it doesn't know", "webserver: {\n\n  keystore: x\n}", /:3: "keystore"/],
  ["a list where one value belongs", "webserver: { ssl-port: [1] }", /:1: one value/],
  ["another block", "webserver: {}\nother: {}", /:2: only "webserver"/],
  ["no block", "", /:1: a block "webserver" was expected/],
  ["a value for the block", "webserver: 1", /:1: "webserver" was expected to be a block/],
];
for (const [what, text, pattern] of WEB_REFUSED) {
  test(`editWebserverConf refuses ${what}`, () => refuses(() => web(text), pattern));
}

test("editAuthConf adds the setting at the top of its block, corrects it, and leaves it", () => {
  const stock = 'authorization: {\n    version: 1\n    rules: [ { deny: "*" } ]\n}\n';
  const edited = auth(stock);
  assert.match(edited, /^authorization: \{\n {4}allow-header-cert-info: true\n {4}version: 1\n/);
  assert.equal(auth(edited), edited);
  assert.equal(
    auth(edited.replace("info: true", 'info: "false" # no')),
    edited.replace("true", "true # no"),
  );
  const short = auth("authorization { version: 1 }");
  assert.match(short, /allow-header-cert-info: true\n version: 1/);
  assert.equal(auth(short), short);
});

test("editAuthConf refuses a file without the block, or with a list for it", () => {
  refuses(() => auth("web: {}"), /auth\.conf:1: a block "authorization"/);
  refuses(() => auth("\nauthorization: []"), /auth\.conf:2: /);
  refuses(() => auth("authorization: {}\nwebserver: { port: 80 }"), /auth\.conf:2: "webserver"/);
  refuses(() => auth("authorization: {\n allow-header-cert-info: [true]\n}"), /auth\.conf:2: /);
});

const CA = "puppetlabs.services.ca.certificate-authority-service/certificate-authority-service";
const NO_CA = CA.replaceAll("authority-service", "authority-disabled-service");
const WATCH =
  "puppetlabs.trapperkeeper.services.watcher.filesystem-watch-service/filesystem-watch-service";

test("editCaCfg turns the CA service off, the other on, and keeps the file watcher", () => {
  const edited = ca(`# on\n${CA}\n# off\n#${NO_CA}\n${WATCH}\n\n`);
  assert.equal(edited, `# on\n#${CA}\n# off\n${NO_CA}\n${WATCH}\n\n`);
  assert.equal(ca(edited), edited);
  assert.ok(caServiceOn(CA) && !caServiceOn(edited));
});

test("editCaCfg turns the CA service on again, wherever it was turned off", () => {
  const on = (text: string) => editCaCfg(text, "/etc/ca.cfg", "on");
  const stock = `# on\n${CA}\n# off\n#${NO_CA}\n${WATCH}\n\n`;
  assert.equal(on(ca(stock)), stock);
  assert.equal(on(stock), stock);
  for (const text of ["", NO_CA, `${NO_CA}\n#${CA}\n`]) {
    const edited = on(text);
    const active = edited.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    assert.deepEqual(active.toSorted(), [CA, WATCH].toSorted());
    assert.ok(caServiceOn(edited));
  }
});

test("editCaCfg adds what is missing, whatever the file's end looks like", () => {
  for (const text of ["", "\n", CA, `${CA}\n`, `# ${NO_CA}`]) {
    const edited = ca(text);
    const on = edited.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    assert.deepEqual(on, [NO_CA, WATCH]);
    assert.ok(edited.endsWith("\n"));
    assert.equal(ca(edited), edited);
  }
});

test("editCaCfg refuses a service that it doesn't know", () => {
  refuses(() => ca(`${CA}\nsome.other/service`), /ca\.cfg:2: .*some\.other\/service/);
});

const PUPPET_CONF: [string, string, string][] = [
  ["an empty file", "", "[main]\nserver = puppet.lab.test\n"],
  ["a file of comments", "# none\n", "# none\n[main]\nserver = puppet.lab.test\n"],
  ["its main section", "[main]\na = 1\n", "[main]\nserver = puppet.lab.test\na = 1\n"],
  ["another section", "[agent]\na = 1", "[agent]\na = 1\n[main]\nserver = puppet.lab.test\n"],
  ["the stock value", "[main]\n server=puppet\n", "[main]\nserver = puppet.lab.test\n"],
  [
    "the wanted value",
    "[main]\nserver =  puppet.lab.test\n",
    "[main]\nserver =  puppet.lab.test\n",
  ],
  ["a name of its own", "[main]\nserver = other\n", "[main]\nserver = other\n"],
];
for (const [what, text, expected] of PUPPET_CONF) {
  test(`editPuppetConf with ${what}`, () => {
    assert.equal(conf(text), expected);
    assert.equal(conf(conf(text)), expected);
  });
}

test("editPuppetConf names the values that it leaves", () => {
  const text = "[main]\ndns_alt_names = a,b\n[agent]\nserver = own.lab.test\n";
  const edit = editPuppetConf(text, "puppet.lab.test", "f");
  assert.deepEqual(edit.kept, [{ section: "agent", value: "own.lab.test", line: 4 }]);
  assert.match(edit.text, /^\[main\]\nserver = puppet\.lab\.test\ndns_alt_names = a,b\n/);
});

test("editPuppetConf refuses a section twice and a line that is no setting", () => {
  refuses(() => conf("[main]\n[agent]\n[main]\n"), /puppet\.conf:3: section \[main\]/);
  refuses(() => conf("[main]\nno setting\n"), /puppet\.conf:2: .*no setting/);
});

test("every edit of any text is refused or changes nothing the second time", () => {
  const pieces =
    'webserver|authorization|: |{|}|\n|ssl-port|8140|#| |,|[main]|[agent]|server = puppet|"|false';
  const piece = fc.constantFrom(...pieces.split("|"), "allow-header-cert-info", CA, NO_CA);
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      for (const edit of [web, auth, ca, conf]) {
        try {
          const once = edit(pieces.join(""));
          assert.equal(edit(once), once);
        } catch (error) {
          assert.ok(isFault(error, "puppetserver.config-unknown"), String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});
