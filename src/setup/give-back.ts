// A setup that fails before the edge takes agents gives the agents their puppetserver back: its own
// files, its own port, running. What the steps have made so far stays for the same command.

import { messageOf } from "../base/fault.ts";
import { raiseSerialFile } from "../ca/serial-file.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { Etcd } from "../etcd/types.ts";
import { UNITS } from "../host/paths.ts";
import { unit } from "../host/systemd.ts";
import { revertPuppetserver } from "../puppetserver/apply.ts";
import { observePuppetserver } from "../puppetserver/observe.ts";
import { planRevert } from "../puppetserver/plan.ts";
import { startPuppetserver } from "../puppetserver/start.ts";
import { forgetStop, keepsItStopped, letAgentsIn } from "./make-way.ts";
import type { SetupHost } from "./setup-host.ts";
import { puppetserverWish } from "./wish.ts";

/** What would take the agents' port, or sign beside stock's own CA service. */
const STOPPED = [UNITS.daemon, UNITS.vip, UNITS.edge];

/**
 * Starts the puppetserver that setup stopped, with the files that it had; `connect` reaches the
 * record. Never throws: returns what is so now, in lines; none where setup stopped nothing.
 */
export async function giveBackPuppetserver(
  node: NodeFile,
  { layout, owners }: SetupHost,
  connect: () => Promise<Etcd>,
  report: (detail: string) => void,
): Promise<string[]> {
  const { unit: name } = layout.puppetserver;
  try {
    if (!(await keepsItStopped())) return [];
    report("puppetserver is given back to the agents");
    for (const each of STOPPED) {
      await unit("disable", each).catch(() => undefined);
      await unit("stop", each);
    }
    const wish = puppetserverWish(node.sharedName);
    const actions = planRevert(wish, await observePuppetserver(layout, wish.listener));
    for (const action of actions) await revertPuppetserver(action);
    const { cadir } = layout;
    // Where it fails, agents get their puppetserver all the same: stock has 64 serials until then.
    const raised = await raiseSerialFile({ cadir, owner: owners.puppet, connect }).then(
      () => [],
      (error: unknown) => [
        `The cluster's serials may be given again, for ${cadir}/serial can't be raised: ` +
          `${messageOf(error)}. Sign nothing before the same command has succeeded.`,
      ],
    );
    await startPuppetserver("start", name, report);
    await forgetStop();
    return [
      "puppetserver runs as before and serves the agents. The same command goes on from here.",
      ...raised,
    ];
  } catch (error) {
    return [
      `puppetserver is stopped, and giving it back failed: ${messageOf(error)}`,
      "Its files as they were lie beside them as FILE.before-understudy. Put them back, then:",
      `systemctl start ${name}`,
    ];
  } finally {
    await letAgentsIn();
  }
}

/**
 * What a join that fails says, in lines. It gives no puppetserver back: stock's CA service must not
 * start beside the cluster's keys. None where it stopped none.
 */
export async function tellStopped(
  name: string,
  { isStopped, letIn } = { isStopped: keepsItStopped, letIn: letAgentsIn },
): Promise<string[]> {
  await letIn();
  if (!(await isStopped())) return [];
  return [
    `${name} stays stopped until the same command has gone through: agents that come to this server get nothing from it.`,
  ];
}
