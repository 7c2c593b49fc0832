// What HAProxy 2.6 answers on its sockets, as recorded, and what is read from it.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseInfo, parsePoison, parseStat, parseWorkers } from "./parse.ts";
import { renderPoison } from "./parse.ts";
import { parseList, parseMatches } from "./revocations.ts";

const PROC = `#<PID>          <type>          <reloads>       <uptime>        <version>
3695            master          1 [failed: 0]   0d00h00m05s     2.6.12-1+deb12u4
# workers
3897            worker          0               0d00h00m00s     2.6.12-1+deb12u4
# old workers
3702            worker          1               0d00h00m05s     2.6.12-1+deb12u4
3601            worker          2               0d00h01m05s     2.6.12-1+deb12u4
# programs
`;

test("parseWorkers tells the current worker from former ones, and leaves the master out", () => {
  assert.deepEqual(parseWorkers(PROC), [
    { pid: 3897, former: false },
    { pid: 3702, former: true },
    { pid: 3601, former: true },
  ]);
});

test("parseStat finds columns by their titles", () => {
  const text = `# pxname,svname,qcur,scur,slim,status,bck,lastchg,wredis,check_status,check_code,last
compilers,p1,0,3,4,UP,0,5,2,L7OK,200,
compilers,p2,1,0,4,DOWN 1/2,1,7,0,* L7STS,503,
compilers,BACKEND,6,3,118,UP,1,5,0,,,
`;
  const rows = parseStat(text);
  assert.equal(rows.length, 3);
  assert.deepEqual(rows[1], {
    proxy: "compilers",
    server: "p2",
    status: "DOWN 1/2",
    check: "L7STS",
    checkCode: 503,
    sessions: 0,
    queued: 1,
    maxconn: 4,
    lastResort: true,
    sinceS: 7,
    redispatched: 0,
    total: 0,
    responseMs: 0,
  });
  assert.equal(rows[2]?.checkCode, undefined);
  assert.equal(rows[2]?.queued, 6);
});

test("parseInfo reads names and values, colons in values included", () => {
  const info = parseInfo("Name: HAProxy\ndescription: abc: def\nStopping: 0\n\n");
  assert.equal(info.get("description"), "abc: def");
  assert.equal(info.get("Stopping"), "0");
});

test("parsers of an empty or unknown answer find nothing", () => {
  for (const text of ["", "\n", "Unknown command, but maybe", "# odd\n1,2"]) {
    assert.deepEqual(parseWorkers(text), []);
    assert.deepEqual(parsePoison(text), []);
    assert.equal(parseMatches(text).size + parseList(text).size, 0);
  }
  assert.deepEqual(parseStat("no table"), []);
});

test("parsePoison reads back what renderPoison writes, and what HAProxy shows of it", () => {
  const name = fc.stringMatching(/^[a-z0-9._-]{1,30}$/);
  const server = fc.stringMatching(/^[a-z0-9._]{1,20}$/);
  const entry = fc.record(
    {
      certname: name,
      at: fc.nat(),
      servers: fc.array(server, { maxLength: 2 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const text = renderPoison(entries);
      assert.deepEqual(parsePoison(text), entries);
      const shown = text.replace(/^(?=.)/gm, "0x56531dd5a8b0 ");
      assert.deepEqual(parsePoison(shown), entries);
    }),
  );
});

test("parseMatches and parseList find the patterns that a worker holds", () => {
  const found = 'type=str, case=sensitive, match=yes, idx=tree, pattern="AB:01"\n\n';
  assert.deepEqual([...parseMatches(`${found}type=str, case=sensitive, match=no\n\n`)], ["AB:01"]);
  assert.deepEqual(
    [...parseList("0x56531dd4dee0 AB:01\n0x7fcd7852f560 AB:02\n\n")],
    ["AB:01", "AB:02"],
  );
});
