import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCompiles, siteFiles } from "./site.ts";

test("parseCompiles finds compiles by the script that a puppetserver waits for", () => {
  const listing = `
    1     0 systemd         /sbin/init
  210     1 java            /usr/bin/java -Xms512m -jar /usr/share/puppetserver/puppetserver.jar
  977   210 lab-compile     /bin/sh /usr/local/bin/lab-compile n1.auto.lab.test
  978   977 sleep           sleep 4
`;
  const found = [{ certname: "n1.auto.lab.test", script: 977, jvm: 210 }];
  assert.deepEqual(parseCompiles(listing), found);
});

test("parseCompiles leaves out scripts whose puppetserver is gone, and others' command lines", () => {
  const listing = `
  977     1 lab-compile     /bin/sh /usr/local/bin/lab-compile n1
  210     1 java            /usr/bin/java -jar puppetserver.jar
  300   210 grep            grep /bin/sh /usr/local/bin/lab-compile n2
`;
  assert.deepEqual(parseCompiles(listing), []);
});

test("siteFiles has each file once, and only the script is executable", () => {
  const files = siteFiles();
  assert.equal(new Set(files.map(({ path }) => path)).size, files.length);
  const executable = files.filter(({ mode }) => (mode & 0o111) !== 0).map(({ path }) => path);
  assert.deepEqual(executable, ["/usr/local/bin/lab-compile"]);
});
