// What an administrator types on lab servers, and what comes back.

import { Fault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import { ClusterStatus } from "../../src/cluster/status.ts";
import { SwitchoverDone } from "../../src/setup/address-contract.ts";
import type { LabHost } from "../host.ts";
import { addressOf, SHARED_NAME, VIRTUAL_ADDRESS } from "../plan.ts";

/** What sets up the first server. */
export const INIT = `understudy init --name ${SHARED_NAME} --vip ${VIRTUAL_ADDRESS}/24`;
/** Where the first server lets others join. */
export const URL = `https://${addressOf("s1")}:9140`;

const STATUS_MS_MAX = 60_000;
const MOVE_MS_MAX = 120_000;
/** For so long a server may pass an earlier switchover's connections on. */
const PASSED_ON_MS_MAX = 1_200_000;
const PASSES_ON = /passes connections of an earlier switchover on/;

/** The cluster's status as `host` tells it. Throws when it can't. */
export async function statusOf(host: LabHost, withinMs = STATUS_MS_MAX): Promise<ClusterStatus> {
  const text = await host.run(["understudy", "status", "--json"], { withinMs });
  return ClusterStatus.parse(JSON.parse(text));
}

/**
 * Moves the address to `to`, typed on `via`. A server that still passes an earlier switchover's
 * connections on takes part in no other, so it is typed again until that has ended.
 */
export async function switchOver(via: LabHost, to: LabHost): Promise<SwitchoverDone> {
  const command = ["understudy", "switchover", "--to", to.name, "--json"];
  const move = async () => {
    const said = await via.exec(command, { withinMs: MOVE_MS_MAX });
    if (said.ok) return SwitchoverDone.parse(JSON.parse(said.stdout));
    const text = `${said.stdout}${said.stderr}`;
    if (PASSES_ON.test(text)) return undefined;
    throw new Fault("lab.switchover", `${via.name}: ${text}`);
  };
  const limits = { withinMs: PASSED_ON_MS_MAX, everyMs: 5000 };
  return until("a switchover that isn't refused", move, limits);
}
