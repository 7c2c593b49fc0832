import assert from "node:assert/strict";
import { test } from "node:test";
import { findStray, type Stray } from "./strays.ts";

const FOUND: [what: string, name: string, text: string, Stray][] = [
  ["a dotted name", "x.conf", "\nwebserver.ssl-port: 1", { what: "webserver", line: 2 }],
  ["a quoted name", "x.json", '{ "authorization": {} }', { what: "authorization", line: 1 }],
  ["a section", "x.ini", "; web\n[webserver]\nport = 80", { what: "webserver", line: 2 }],
  ["a keyword", "x.edn", "; web\n{:webserver {:port 80}}", { what: "webserver", line: 2 }],
  ["a property", "x.properties", "! web\nwebserver.port=80", { what: "webserver", line: 2 }],
  ["a key of YAML", "x.yaml", "---\nwebserver:\n  port: 80", { what: "webserver", line: 2 }],
  [
    "a block behind others on one line",
    "x.conf",
    'a: { b: "http://c" }, webserver: { port: 80 }',
    { what: "webserver", line: 1 },
  ],
  [
    "a block behind a text of three quotes",
    "x.conf",
    'a: """ " # """, webserver: {}',
    { what: "webserver", line: 1 },
  ],
  ["an include", "x.conf", 'a: 1\ninclude "other.conf"', { what: "include", line: 2 }],
  ["a required include", "x.conf", 'include required(file("/o"))', { what: "include", line: 1 }],
];
for (const [what, name, text, stray] of FOUND) {
  test(`findStray finds ${what} in ${name}`, () => assert.deepEqual(findStray(name, text), stray));
}

test("findStray leaves comments, and names that only begin or end alike", () => {
  const plain: [string, string][] = [
    ["a.conf", "# webserver: {}\na: 1 // authorization\nweb-router-service: {}"],
    [
      "a.conf",
      "certificate-authority: {\n  # should include other\n  allow-authorization-extensions: true\n}",
    ],
    ["a.conf", "metrics-webservice: { }\nmy-webserver: 1"],
    ["a.edn", "{:a 1} ; webserver"],
    ["a.ini", "# webserver\n[global]"],
  ];
  for (const [name, text] of plain) assert.equal(findStray(name, text), undefined, text);
});
