// A terminal that is drawn over again and again, and put back as it was however the program ends.
// Each frame is one write over the former one, line by line, so that nothing flickers, also over
// slow links.

import { emitKeypressEvents, type Key } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";

const ESC = "\u001b[";
/** The other screen, no cursor, no wrapping; and back. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`;
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`;
/** Terminals that know it show the whole frame at once; others take no notice. */
const BEGIN = `${ESC}?2026h`;
const END = `${ESC}?2026l`;

export interface Screen {
  size(): { columns: number; rows: number };
  draw(lines: readonly string[]): void;
  /** Puts the terminal back. Safe to call twice. */
  close(): void;
}

/** Takes the terminal over. `onKey` gets names of keys, `onResize` is called after a new size. */
export function openScreen(
  input: ReadStream,
  output: WriteStream,
  on: { key: (name: string) => void; resize: () => void },
): Screen {
  let open = true;
  const close = () => {
    if (!open) return;
    open = false;
    process.off("exit", close);
    output.off("resize", on.resize);
    input.off("keypress", pressed);
    input.setRawMode(false);
    input.pause();
    output.write(LEAVE);
  };
  const pressed = (text: string | undefined, key: Key) => {
    on.key(key.ctrl === true ? `ctrl-${key.name ?? ""}` : (key.name ?? text ?? ""));
  };
  emitKeypressEvents(input);
  input.setRawMode(true);
  input.resume();
  input.on("keypress", pressed);
  output.on("resize", on.resize);
  // Whatever ends the program.
  process.on("exit", close);
  output.write(ENTER);
  return {
    size: () => ({ columns: output.columns, rows: output.rows }),
    draw(lines) {
      if (open) output.write(renderDraw(lines));
    },
    close,
  };
}

/** What draws `lines` over whatever was there. */
export function renderDraw(lines: readonly string[]): string {
  const body = lines.map((line, index) => `${ESC}${index + 1};1H${line}${ESC}K`).join("");
  return `${BEGIN}${body}${ESC}J${END}`;
}
