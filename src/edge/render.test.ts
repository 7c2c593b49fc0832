// The rendered configuration, as HAProxy itself judges it, and what counts as a change of it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { tryRun } from "../host/process.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { connectionsMax, type EdgeConfig, edgePaths } from "./config.ts";
import { renderEdge } from "./render.ts";
import { TestEdge } from "./testing/edge.ts";

const server = (name: string) => ({
  name,
  host: "h.test",
  address: "192.0.2.1",
  port: 8141,
  jrubies: 3,
});

describe("renderEdge", () => {
  const SHAPES: [string, (config: EdgeConfig) => EdgeConfig][] = [
    ["nothing behind it", (config) => ({ ...config, backends: [], authorities: [], issuers: [] })],
    [
      "IPv6, several addresses and balancers",
      (config) => ({
        ...config,
        bind: [
          { address: "::1", port: 18_140 },
          { address: "127.0.0.1", port: 18_141 },
        ],
        backends: [{ ...server("v6"), address: "2001:db8::1" }],
        acceptProxyFrom: ["192.0.2.0/24", "2001:db8::/64"],
      }),
    ],
    [
      "many of everything",
      (config) => ({
        ...config,
        backends: Array.from({ length: 40 }, (_, index) => server(`p${index}.example.com_x`)),
        authorities: Array.from({ length: 6 }, (_, index) => server(`a${index}`)),
        issuers: ["CN=one", "CN=two", 'CN="three", x'],
      }),
    ],
    ["a user of its own", (config) => ({ ...config, runAs: { user: "root", group: "root" } })],
    ["a line for every request", (config) => ({ ...config, logEverything: true })],
    ["little memory", (config) => ({ ...config, memoryMiB: 1 })],
  ];
  for (const [what, shape] of SHAPES) {
    test(`HAProxy accepts the configuration with ${what}, without a warning`, async () => {
      await using made = await TestEdge.make({ puppetservers: 1 });
      await using edge = made.with(shape(made.config));
      await edge.writeFiles();
      const argv = [toolPath("haproxy"), "-c", "-f", edgePaths(edge.config).config];
      const result = await tryRun(argv, { env: toolEnv() });
      assert.ok(result.ok, result.stderr);
      assert.doesNotMatch(result.stderr, /WARNING|ALERT/);
    });
  }

  test("renderEdge gives equal text for equal configs, and one structure whatever JRubies", async () => {
    await using edge = await TestEdge.make({ puppetservers: 0 });
    const backends = fc.uniqueArray(fc.record({ jrubies: fc.integer({ min: 1, max: 64 }) }), {
      minLength: 3,
      maxLength: 3,
    });
    const withThese = (each: { jrubies: number }[]): EdgeConfig => ({
      ...edge.config,
      backends: each.map((one, index) => ({ ...server(`p${index}`), ...one })),
    });
    fc.assert(
      fc.property(backends, backends, (one, other) => {
        assert.deepEqual(renderEdge(withThese(one)), renderEdge(withThese(structuredClone(one))));
        const [first, second] = [renderEdge(withThese(one)), renderEdge(withThese(other))];
        assert.equal(first.structure, second.structure);
        assert.equal(first.waitLua, second.waitLua);
        assert.ok(first.haproxyCfg.includes(first.structure));
      }),
    );
  });
});

test("connectionsMax grows with memory between its bounds, and never takes more than there is above them", () => {
  assert.equal(connectionsMax(0), 64);
  assert.equal(connectionsMax(1e9), 20_000);
  fc.assert(
    fc.property(fc.integer({ min: 256, max: 60_000 }), (memoryMiB) => {
      const connections = connectionsMax(memoryMiB);
      assert.ok(connections * 3 <= memoryMiB || connections === 64);
      assert.ok(connections <= connectionsMax(memoryMiB + 64));
    }),
  );
});
