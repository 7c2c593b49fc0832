// A failover by hand: an address whose holder can't be asked to let go is taken from it. It needs
// no etcd: things may be broken.

import type { FailoverCommands } from "../api/local-app.ts";
import { Fault } from "../base/fault.ts";
import { monotonicMs } from "../host/clock.ts";
import { canonicalAddress } from "../host/network.ts";
import type { FailoverAsk } from "../setup/address-contract.ts";
import { type FailoverJudgement, judgeFailover } from "../vip/switchover/failover.ts";
import { holdersOf, knownAddresses, lookAtAll, type SwitchoverDeps } from "./switchover.ts";

export function failoverCommands(deps: Omit<SwitchoverDeps, "etcd">): FailoverCommands {
  return {
    plan: async (ask) => ({ address: ask.address, ...(await judge(deps, ask)) }),
    async run(ask) {
      const address = canonicalAddress(ask.address);
      const { to, refused } = await judge(deps, ask);
      if (refused !== "") throw refusedFault(refused);
      const member = deps.view().members.find(({ id }) => id === to);
      if (member === undefined) throw refusedFault(`${to} is no member any more`);
      const startMs = monotonicMs();
      deps.log.notice(`failover: ${to} is to take ${address}`);
      await deps.actsOf(member).take(address);
      const tookMs = monotonicMs() - startMs;
      return { address, to, tookMs, holders: holdersOf(await lookAtAll(deps)) };
    },
  };
}

async function judge(
  deps: Omit<SwitchoverDeps, "etcd">,
  ask: FailoverAsk,
): Promise<FailoverJudgement> {
  const address = canonicalAddress(ask.address);
  return judgeFailover({ ...ask, address }, knownAddresses(deps.view()), await lookAtAll(deps));
}

function refusedFault(why: string): Fault {
  return new Fault("failover.refused", why, {
    hints: ["Nothing was changed. See: understudy status"],
  });
}
