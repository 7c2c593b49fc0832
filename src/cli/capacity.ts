// understudy capacity: whether the puppetservers carry the load, also when one is lost.

import type { Command } from "commander";
import { renderTable } from "../base/table.ts";
import { BUSY_MAX, type Capacity, judgeCapacity } from "../cluster/capacity.ts";
import { isoTime } from "../host/clock.ts";
import { createOutput } from "./output.ts";
import { readStatus } from "./read-status.ts";

export function addCapacity(program: Command): void {
  program
    .command("capacity")
    .description("whether the puppetservers carry the load, also when one server is lost")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (flags: { json?: boolean }) => {
      const { members } = await readStatus();
      const capacity = judgeCapacity(members);
      createOutput(flags.json === true).result(capacity, renderCapacity(capacity));
    });
}

/** The judgement as text for people. */
export function renderCapacity(capacity: Capacity): string {
  const { members, jrubies, now, busiest, without, missing } = capacity;
  const rows = members.map((each) => [
    each.id,
    each.up === each.jrubies ? String(each.jrubies) : `${each.up} of ${each.jrubies} up`,
    String(each.busy),
    String(each.queued),
    each.responseMs === 0 ? "-" : `${(each.responseMs / 1000).toFixed(2)} s`,
  ]);
  const lines = [
    renderTable(["MEMBER", "JRUBIES", "BUSY", "WAITING", "ANSWERS IN"], rows),
    "",
    `Load: ${now.toFixed(1)} requests at once in this half hour, of ${jrubies} JRubies.`,
  ];
  if (busiest === undefined) {
    lines.push("No half hour has ended since the daemons started: what they need isn't known yet.");
  } else {
    const load = busiest.load.toFixed(1);
    lines.push(`Busiest half hour of the last day: ${load}, from ${isoTime(busiest.fromMs)} on.`);
  }
  if (without === undefined)
    lines.push("There is one member with puppetservers: its loss ends all.");
  else if (busiest !== undefined) lines.push(describeLoss(without, busiest.load));
  for (const id of missing) {
    lines.push(`! ${id} doesn't answer: what its edge had for puppetservers isn't counted.`);
  }
  return lines.join("\n");
}

function describeLoss(without: NonNullable<Capacity["without"]>, load: number): string {
  const { id, jrubies, carries, lacking } = without;
  if (jrubies === 0)
    return `Without ${id} no puppetserver is up. One that is drained would be asked.`;
  const left = `Without ${id} ${jrubies} JRubies are left`;
  if (!carries) return `${left}: ${lacking} too few. Agents' runs would queue up.`;
  const more = load === 0 ? 0 : Math.floor(((jrubies * BUSY_MAX) / load - 1) * 100);
  return `${left}, which carry it${more > 0 ? `, and ${more} % more` : ""}.`;
}

const HELP = `
  understudy capacity

The load is the mean number of requests that puppetservers worked on or that waited: 3.0 keeps three JRubies busy
all the time. JRubies should be busy for at most ${BUSY_MAX * 100} % of it, since requests come at random. Each daemon remembers a
day of half hours, since its own start.

What to do when it is too little: more JRubies (max-active-instances in puppetserver.conf, with memory for each),
another server, a longer runinterval, or a splay so that agents don't all come at once. What is down, starting or
drained isn't counted on: understudy status says why it is.

Exit code: 0 answered, 1 this server's daemon can't be asked.`;
