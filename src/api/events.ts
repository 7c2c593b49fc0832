// What is so and what happened, sent to whoever watches, as server-sent events. The idea: each
// event is whole, so who comes back needs nothing of what was missed; everybody gets the same look,
// and nobody looks while nobody watches. Danger: a reader that doesn't read must not fill memory.

import { Fault, messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { judgeCapacity, type Capacity } from "../cluster/capacity.ts";
import {
  type PuppetdbSum,
  type ReceiverSum,
  sumPuppetdbs,
  sumReceivers,
} from "../cluster/courier-status.ts";
import { type MemberRows, memberRows } from "../cluster/member-rows.ts";
import { type Puppetserver, sumPuppetservers } from "../cluster/puppetservers.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import type { HistoryAnswer, HistoryWish } from "../setup/history-contract.ts";

/** How often it looks, and how often it reads the history. */
export const LOOK_MS = 2000;
const LOOKS_A_HISTORY = 3;
const HISTORY_ENTRIES = 30;
/** How soon a browser comes again that has lost the connection. */
const AGAIN_MS = 1000;
/** What waits for a reader: one that lets more wait is ended, and may come again. */
export const BUFFER_BYTES_MAX = 1024 * 1024;
const STREAMS_MAX = 64;
const STREAMS_OF_ONE_MAX = 8;

/** One look at the cluster: the status, and what it sums up to. Event `snapshot`. */
export interface Snapshot {
  status: ClusterStatus;
  members: MemberRows;
  puppetservers: Puppetserver[];
  puppetdbs: PuppetdbSum[];
  receivers: ReceiverSum[];
  capacity: Capacity;
}

/** Why there is no look. Event `trouble`. */
export interface Trouble {
  code: string;
  message: string;
}

export interface Reader {
  who: string;
  /** Whether it may go on. */
  stays: () => boolean;
  /** Ends its connection. */
  end: () => void;
}

export interface Events {
  /** A new stream. Throws Fault `events.too-many`. */
  open(reader: Reader): ReadableStream<Uint8Array>;
  /** How many streams are open. */
  size(): number;
}

export interface EventSources {
  cluster: () => Promise<ClusterStatus>;
  history: (wish: HistoryWish) => Promise<HistoryAnswer>;
  lookMs?: number;
}

interface Stream extends Reader {
  controller: ReadableStreamDefaultController<Uint8Array>;
}

/** Sends an event to all. Of one kind the newest alone is so: trouble takes a snapshot's place. */
type Send = (kind: "look" | "history", name: string, data: unknown) => void;

/** The text of one event. */
export function renderEvent(name: string, data: unknown): string {
  // JSON has no line ends of its own, so one data line holds it.
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

export function createEvents(sources: EventSources): Events {
  const streams = new Set<Stream>();
  /** What a new stream begins with: the last look, or why there was none, and the history. */
  const last = { look: "", history: "" };
  let looking = false;

  const send: Send = (kind, name, data) => {
    const text = renderEvent(name, data);
    // A look is told each time: a browser's page sees by it that this member still says something.
    const isOld = kind === "history" && last.history === text;
    last[kind] = text;
    for (const stream of streams) push(stream, isOld ? ": the same\n\n" : text);
  };
  const push = (stream: Stream, text: string) => {
    const { controller } = stream;
    if (stream.stays() && (controller.desiredSize ?? 0) > 0) {
      controller.enqueue(Buffer.from(text));
      return;
    }
    // What waits for it is given up with the connection.
    drop(stream);
    stream.end();
  };
  const drop = (stream: Stream) => {
    streams.delete(stream);
    // What is old by the time that somebody comes is no beginning: a look may hang meanwhile.
    if (streams.size === 0) last.look = last.history = "";
  };
  const look = async () => {
    looking = true;
    for (let round = 0; streams.size > 0; round += 1) {
      await sendLook(sources, send);
      if (round % LOOKS_A_HISTORY === 0) await sendHistory(sources, send);
      await pause(sources.lookMs ?? LOOK_MS);
    }
    looking = false;
    last.look = last.history = "";
  };
  return {
    size: () => streams.size,
    open(reader) {
      requireRoom(streams, reader);
      let own: Stream | undefined;
      return new ReadableStream<Uint8Array>(
        {
          start(controller) {
            own = { ...reader, controller };
            streams.add(own);
            // Something at once: a proxy on the way shows that it passes it on.
            push(own, [`retry: ${AGAIN_MS}\n\n`, last.look, last.history].join(""));
            if (!looking) void look();
          },
          cancel() {
            if (own !== undefined) drop(own);
          },
        },
        new ByteLengthQueuingStrategy({ highWaterMark: BUFFER_BYTES_MAX }),
      );
    },
  };
}

async function sendLook({ cluster }: EventSources, send: Send): Promise<void> {
  try {
    send("look", "snapshot", snapshotOf(await cluster()));
  } catch (error) {
    const code = error instanceof Fault ? error.code : "internal";
    send("look", "trouble", { code, message: messageOf(error) } satisfies Trouble);
  }
}

async function sendHistory({ history }: EventSources, send: Send): Promise<void> {
  try {
    send("history", "history", await history({ limit: HISTORY_ENTRIES }));
  } catch {
    // The look says what is wrong; the history shown before stands.
  }
}

export function snapshotOf(status: ClusterStatus): Snapshot {
  const { members } = status;
  return {
    status,
    members: memberRows(status),
    puppetservers: sumPuppetservers(members),
    puppetdbs: sumPuppetdbs(members),
    receivers: sumReceivers(members),
    capacity: judgeCapacity(members),
  };
}

function requireRoom(streams: ReadonlySet<Stream>, { who }: Reader): void {
  const own = [...streams].filter((each) => each.who === who).length;
  const why =
    own >= STREAMS_OF_ONE_MAX
      ? `${who} has ${own} streams of events open`
      : streams.size >= STREAMS_MAX
        ? `${streams.size} streams of events are open`
        : "";
  if (why !== "") throw new Fault("events.too-many", `${why}: no more may be`);
}
