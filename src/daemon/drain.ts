// The commands that drain a member and end that: one compared change of the record each, decided on
// what the cluster is now. Edges, addresses and couriers follow with the view.

import type { DrainCommands } from "../api/work-commands.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { findMember } from "../cluster/find-member.ts";
import { updateWork } from "../cluster/record.ts";
import type { Member, NodeFile } from "../cluster/schema.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { drainOf, withDrain, withoutDrain } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import {
  addressesOf,
  heirsOf,
  judgeDrained,
  planDrain,
  renderDrainPlan,
} from "../setup/drain-plan.ts";
import type { DrainPlan } from "../setup/work-contract.ts";
import { handOver, planHandOver, type Moves } from "./hand-over.ts";

export interface DrainHost {
  etcd: Etcd;
  node: NodeFile;
  log: Log;
  status(): Promise<ClusterStatus>;
  /** Requests that run in a member's puppetservers; undefined where that can't be told. */
  running(member: Member): Promise<number | undefined>;
  moves: Moves;
  /** Throws Fault `cluster.clock-off` where this clock is too wrong for `what`. */
  requireClock(what: string): void;
  /** The record has changed: look now. */
  wake(): void;
}

export function drainCommands(host: DrainHost): DrainCommands {
  const { etcd, log } = host;
  const find = ({ members }: ClusterStatus, name: string) =>
    findMember(
      members.map(({ member }) => member.id),
      name,
    );
  return {
    async plan(name) {
      const status = await host.status();
      const id = find(status, name);
      const heirs = heirsOf(status, id, wallMs());
      const handing = await planHandOver(host.moves, addressesOf(status, id), heirs);
      return planDrain(status, id, wallMs(), handing);
    },
    async drain({ name, reason, until, force }, by) {
      if (until !== undefined) {
        host.requireClock("the drain would end at another time than it says");
      }
      const status = await host.status();
      const id = find(status, name);
      const nowMs = wallMs();
      if (until !== undefined && Date.parse(until) <= nowMs) {
        throw new Fault("drain.refused", `${until} is over by this server's clock`);
      }
      const drain = {
        id,
        by,
        at: isoTime(nowMs),
        reason,
        ...(until === undefined ? {} : { until }),
      };
      if (!force) requireUnrefused(planDrain(status, id, nowMs));
      const heirs = heirsOf(status, id, nowMs);
      const handedOver = await handOver(host.moves, addressesOf(status, id), heirs);
      const after = await updateWork(etcd, (work) => {
        // Judged anew with what the record says now: another one may be drained since.
        if (!force) requireUnrefused(planDrain({ ...status, work }, id, nowMs));
        const before = drainOf(work, id, nowMs);
        // Since when it is drained doesn't change with its reason.
        return withDrain(work, { ...drain, at: before?.at ?? drain.at });
      });
      host.wake();
      log.notice(`${id} is drained by ${by}`, { reason, until: until ?? "" });
      return { id, drain: drainOf(after, id, nowMs), ...(handedOver && { handedOver }) };
    },
    async undrain(name, by) {
      const status = await host.status();
      const id = find(status, name);
      const nowMs = wallMs();
      let was: ReturnType<typeof drainOf>;
      await updateWork(etcd, (work) => {
        was = drainOf(work, id, nowMs);
        return withoutDrain(work, id);
      });
      host.wake();
      if (was !== undefined) log.notice(`the drain of ${id} was ended by ${by}`);
      return { id, drain: was };
    },
    async progress(name) {
      const status = await host.status();
      const id = find(status, name);
      const member = status.members.find((each) => each.member.id === id)?.member;
      const running = member === undefined ? undefined : await host.running(member);
      return judgeDrained(status, id, running);
    },
  };
}

function requireUnrefused(plan: DrainPlan): void {
  if (plan.refused === "") return;
  const hints = renderDrainPlan(plan).split("\n").slice(0, -1);
  throw new Fault("drain.refused", plan.refused, {
    hints: [...hints, "If that is meant: the same command with --force"],
  });
}
