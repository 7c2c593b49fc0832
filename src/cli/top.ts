// understudy top: the cluster as it is, live in a terminal.

import type { Command } from "commander";
import { z } from "zod";
import { parseDuration } from "../base/duration.ts";
import { Fault, messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { HistoryAnswer } from "../setup/history-contract.ts";
import { check } from "./options.ts";
import { readStatus } from "./read-status.ts";
import { openScreen, type Screen } from "./screen.ts";
import { type Look, renderFrame, type Shown, withKey } from "./top-frame.ts";

/** Without a terminal: as much as there is. */
const UNBOUNDED = { columns: 10_000, rows: 10_000 };
const Every = z
  .string()
  .transform(parseDuration)
  .pipe(z.number().min(1, "at least 1s").max(3600, "at most 1h"));
/** How many of the last events are shown, and how often they are read. */
const EVENTS = 8;
const EVENTS_MS = 10_000;
const QUIT = ["q", "escape", "ctrl-c", "ctrl-d"];

export function addTop(program: Command): void {
  program
    .command("top")
    .description("servers, puppetservers and what is wrong, live in the terminal")
    .option("--every <time>", "how often it looks, as in 5s", "2s")
    .option("--once", "print one frame and end; so it is without a terminal")
    .addHelpText("after", HELP)
    .action(async (flags: { every: string; once?: boolean }) => {
      const everyMs = check(Every, "--every", flags.every) * 1000;
      const { stdin, stdout } = process;
      if (flags.once === true || !stdin.isTTY || !stdout.isTTY) return printOnce();
      await watch(everyMs, (on) => openScreen(stdin, stdout, on), ASKS);
    });
}

/** What is asked of this server's daemon. */
interface Asks {
  status(signal?: AbortSignal): Promise<ClusterStatus>;
  history(signal?: AbortSignal): Promise<HistoryAnswer>;
}

const ASKS: Asks = {
  status: readStatus,
  async history(signal) {
    const options = { answer: HistoryAnswer, ...(signal && { signal }) };
    return callDaemon("GET", `/v1/history?limit=${EVENTS}`, options);
  },
};

async function printOnce(): Promise<void> {
  const look: Look = { sort: "name", reverse: false, paused: false };
  const [status, history] = await Promise.all([
    ASKS.status(),
    ASKS.history().catch(() => undefined),
  ]);
  const shown = { status, at: timeOf(), ...(history && { history }) };
  const lines = renderFrame(shown, look, UNBOUNDED);
  const text = lines.filter((line, index) => line !== "" || lines[index - 1] !== "");
  process.stdout.write(`${text.slice(0, -1).join("\n").trimEnd()}\n`);
}

type Open = (on: Parameters<typeof openScreen>[2]) => Screen;

/** Draws what is so again and again, until somebody quits: then what is asked is given up. */
export async function watch(everyMs: number, open: Open, asks: Asks): Promise<void> {
  const quit = new AbortController();
  let look: Look = { sort: "name", reverse: false, paused: false };
  let shown: Pick<Shown, "status" | "at"> | undefined;
  let history: HistoryAnswer | undefined;
  let askedMs = Number.NEGATIVE_INFINITY;
  let failure = "";
  const draw = () => {
    const size = screen.size();
    if (shown === undefined || failure !== "") {
      return screen.draw(explain(failure).slice(0, size.rows));
    }
    screen.draw(renderFrame({ ...shown, ...(history && { history }) }, look, size));
  };
  const readEvents = async () => {
    if (monotonicMs() - askedMs < EVENTS_MS) return;
    // Not again before it has answered.
    askedMs = Number.POSITIVE_INFINITY;
    history = await asks.history(quit.signal).catch(() => history);
    askedMs = monotonicMs();
    if (!quit.signal.aborted && shown !== undefined) draw();
  };
  const screen = open({
    key(name) {
      if (QUIT.includes(name)) return quit.abort();
      look = withKey(look, name) ?? look;
      draw();
    },
    resize: draw,
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => quit.abort());
  }
  try {
    while (!quit.signal.aborted) {
      if (!look.paused) {
        void readEvents();
        try {
          shown = { status: await asks.status(quit.signal), at: timeOf() };
          failure = "";
        } catch (error) {
          failure = error instanceof Fault ? `${error.code}: ${error.message}` : messageOf(error);
        }
        if (!quit.signal.aborted) draw();
      }
      await pause(everyMs, quit.signal);
    }
  } finally {
    screen.close();
  }
}

function explain(failure: string): string[] {
  if (failure === "") return ["asks this server's daemon …"];
  return [`error ${failure}`, "  Asked again until q.", "  Meanwhile: journalctl -u understudy"];
}

/** Hours, minutes and seconds, UTC as in the logs of servers. */
function timeOf(): string {
  return `${isoTime(wallMs()).slice(11, 19)} UTC`;
}

const HELP = `
  understudy top --every 5s

The first line is the verdict, as in understudy status. BUSY and WAITING add up what every edge sees; PER S is
requests per second, ANSWERS IN the mean of the last 1024. Daemons look at their edge every 5 seconds. Events are
those of understudy history, read every 10 seconds.

Keys: q quits; < and > choose the column to sort by; r reverses; space pauses.

Exit code: 0 ended by you, 1 this server's daemon can't be asked (with --once).`;
