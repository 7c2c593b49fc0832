// Started by spool.ts. Arguments: "fill" FOLDER COUNT writes a spool; "open" FOLDER COUNT opens it,
// reads the first and the last window as a delivery does, and prints what that took.

import { randomUUID } from "node:crypto";
import { Spool, openSpool } from "../../src/courier/spool.ts";
import type { SpooledHead } from "../../src/courier/frame.ts";
import { monotonicMs, wallMs } from "../../src/host/clock.ts";

const AT_ONCE = 2000;
const WINDOW = 500;
const BODY = Buffer.alloc(200, "x");
/** As many nodes send them. */
const NODES = 10_000;

const [task, folder = "", count = "0"] = process.argv.slice(2);
const total = Number(count);
if (task === "fill") await fill(await openSpool(folder));
else await open();

async function fill(spool: Spool): Promise<void> {
  for (let made = 0; made < total; made += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, total - made) }, async (_, index) =>
      spool.append(headOf(made + index), BODY),
    );
    await Promise.all(some);
  }
  await spool.close();
}

function headOf(index: number): SpooledHead {
  const certname = `node${index % NODES}.lab.test`;
  const kind = index % 3 === 0 ? "report" : "facts";
  const query = `command=x&version=8&certname=${certname}`;
  return { kind, certname, producerMs: wallMs(), query, id: randomUUID(), takenMs: wallMs() };
}

async function open(): Promise<void> {
  const begun = monotonicMs();
  const spool = await openSpool(folder);
  const ms = monotonicMs() - begun;
  const first = await spool.read(spool.first, WINDOW);
  const last = await spool.read(spool.next - WINDOW, WINDOW);
  if (spool.next !== total + 1 || first.length !== WINDOW || last.length !== WINDOW) {
    throw new Error(`the spool has ${spool.next - 1} commands, ${first.length}, ${last.length}`);
  }
  await spool.close();
  const residentMiB = process.memoryUsage.rss() / 1024 / 1024;
  process.stdout.write(JSON.stringify({ ms, residentMiB }));
}
