// A drill on the lab's cluster beside an outside prober that connects every 10 ms: what the drill
// says that agents noticed, and what somebody else saw.

import { Fault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import type { DrillKind } from "../../src/cluster/drill.ts";
import { DrillReport } from "../../src/drill/report.ts";
import { DrillPlanAnswer } from "../../src/setup/drill-contract.ts";
import type { Cluster } from "../cluster.ts";
import type { LabHost } from "../host.ts";
import { type ProbeResult, startProber } from "../prober.ts";

const PORT = 8140;
const EVERY_MS = 10;
const LIMIT_MS = 250;
const DRILL_MS_MAX = 900_000;
const BEARABLE_MS_MAX = 300_000;

export interface HeldDrill {
  report: DrillReport;
  /** What the command ended with. */
  code: number | null;
  /** Where it was typed. */
  driver: LabHost;
  /** From before the drill to after it. */
  outside: ProbeResult;
}

/** A server that doesn't hold the address: it sees what agents see. */
export async function driverOf(cluster: Cluster): Promise<LabHost> {
  const holder = await cluster.holder();
  const driver = cluster.servers.find((server) => server !== holder);
  if (driver !== undefined && cluster.vip !== undefined) return driver;
  throw new Fault("lab.no-driver", "a drill needs a virtual address and a second server");
}

/** Holds one, and waits for its end. The server is the one that the drill itself chooses. */
export async function holdOne(cluster: Cluster, kind: DrillKind): Promise<HeldDrill> {
  const driver = await driverOf(cluster);
  await untilBearable(driver, kind);
  const address = cluster.vip ?? "";
  const place = { host: cluster.agentHost.name, address, port: PORT };
  await using prober = await startProber(cluster.lab, {
    ...place,
    everyMs: EVERY_MS,
    limitMs: LIMIT_MS,
  });
  const argv = ["understudy", "drill", kind, "--yes", "--json"];
  const { stdout, stderr, code } = await driver.exec(argv, { withinMs: DRILL_MS_MAX });
  const outside = await prober.stop();
  const parsed = DrillReport.safeParse(parseJson(stdout));
  if (parsed.success) return { report: parsed.data, code, driver, outside };
  throw new Fault("lab.no-report", `${kind}: ${stdout.slice(-1000)} ${stderr.slice(-1000)}`);
}

/** What a drill before has left is over: a move keeps connections for a minute. */
async function untilBearable(driver: LabHost, kind: DrillKind): Promise<void> {
  const argv = ["understudy", "drill", kind, "--dry-run", "--json"];
  let refused: string[] = [];
  const isBearable = async () => {
    const { stdout } = await driver.exec(argv);
    refused = DrillPlanAnswer.parse(parseJson(stdout)).refused;
    return refused.length === 0;
  };
  try {
    await until(`${kind} may be held`, isBearable, { withinMs: BEARABLE_MS_MAX, everyMs: 2000 });
  } catch (cause) {
    throw new Fault("lab.drill-refused", `${kind}: ${refused.join("; ")}`, { cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
