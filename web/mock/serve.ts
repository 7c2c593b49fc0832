// The people's API with its dashboard on a loopback port, in front of a cluster that isn't there.
// As a program: node_modules/.bin/node web/mock/serve.ts prints where it is and a token of each
// role.

import { readDashboard } from "../../src/api/dashboard.ts";
import { startTestPeople } from "../../src/api/testing/people.ts";
import { Fault } from "../../src/base/fault.ts";
import { monotonicMs, wallMs } from "../../src/host/clock.ts";
import { buildDashboard, DASHBOARD_FOLDER } from "../build.ts";
import { createMockCluster } from "./cluster.ts";

const LASTING_MS = 3650 * 86_400_000;

/** Starts it. `lookMs`: how often streams of events look. Throws Fault `web.not-built`. */
export async function startMock(options: { lookMs?: number } = {}) {
  const dashboard = readDashboard(DASHBOARD_FOLDER);
  if (dashboard === undefined) {
    throw new Fault("web.not-built", "the dashboard isn't built", {
      hints: ["npm run ok builds it, or: node_modules/.bin/node web/build.ts"],
    });
  }
  const mock = createMockCluster(options.lookMs);
  const { commands } = mock;
  const people = await startTestPeople({ commands, dashboard, wallMs, monotonicMs });
  const tokens = {
    viewer: people.addToken("vera", "viewer", LASTING_MS),
    operator: people.addToken("otto", "operator", LASTING_MS),
    admin: people.addToken("ada", "admin", LASTING_MS),
  };
  return { ...people, ...mock, tokens, url: `https://127.0.0.1:${people.port}` };
}

if (import.meta.main) {
  await buildDashboard();
  const { url, tokens, tell } = await startMock();
  tell("daemon", "s1.example.com's daemon starts");
  console.log([url, ...Object.values(tokens)].join("\n"));
}
