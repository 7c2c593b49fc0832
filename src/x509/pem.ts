// PEM (RFC 7468): text armour around DER. Text between blocks is skipped, as in CA bundles; inside
// a block everything must be canonical base64, so no two texts mean the same bytes by accident.

import { DER_BYTES_MAX, malformed } from "./der.ts";

/** Most characters of one text: a full revocation list in base64 and some more. */
export const PEM_CHARACTERS_MAX = 48 * 1024 * 1024;
const LINE_CHARACTERS = 64;
/** Lines kept apart: millions of short ones would take many times their own size. */
const LINES_AT_ONCE = 4096;

/** One block of PEM: the label between "BEGIN " and the dashes, and its bytes. */
export interface PemBlock {
  label: string;
  der: Buffer;
}

/** One PEM block, lines of 64 characters, newline at the end. */
export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString("base64");
  const lines: string[] = [];
  for (let at = 0; at < base64.length; at += LINE_CHARACTERS) {
    lines.push(base64.slice(at, at + LINE_CHARACTERS));
  }
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** All blocks of a text, in order. Faults with `x509.malformed` on a broken one. */
export function decodePem(text: string): PemBlock[] {
  if (text.length > PEM_CHARACTERS_MAX) {
    throw malformed(`PEM text of ${text.length} characters; ${PEM_CHARACTERS_MAX} are allowed`);
  }
  const blocks: PemBlock[] = [];
  let open: { label: string; text: string; lines: string[] } | undefined;
  for (const line of linesOf(text)) {
    const mark = line.startsWith("-----") ? boundary(line) : undefined;
    if (mark?.kind === "BEGIN") {
      if (open !== undefined) throw malformed(`PEM block ${open.label} has no end`);
      open = { label: mark.label, text: "", lines: [] };
    } else if (mark?.kind === "END") {
      if (open?.label !== mark.label) throw malformed(`PEM block ${mark.label} ends unopened`);
      const text = open.text + open.lines.join("");
      blocks.push({ label: open.label, der: decodeBase64(text, open.label) });
      open = undefined;
    } else if (open !== undefined && open.lines.push(line) >= LINES_AT_ONCE) {
      open.text += open.lines.join("");
      open.lines = [];
    }
  }
  if (open !== undefined) throw malformed(`PEM block ${open.label} has no end`);
  return blocks;
}

/**
 * The one object in `input`: a Buffer of DER, or text or a Buffer of PEM with just one block.
 * Of text, no more than four times `bytesMax` is looked at: base64 and a printed form before it.
 */
export function derFrom(
  input: Uint8Array | string,
  labels: readonly string[],
  bytesMax = DER_BYTES_MAX,
): Buffer {
  if (input.length > bytesMax * 4) {
    throw malformed(`${input.length} bytes of PEM where ${bytesMax * 4} are allowed`);
  }
  const [first, ...more] = dersFrom(input, labels);
  if (first === undefined) throw malformed(`no PEM block ${labels[0]} found`);
  if (more.length > 0) throw malformed(`${more.length + 1} PEM blocks where one is expected`);
  return first;
}

/** All objects in `input` in order; a block with another label than `labels` is a Fault. */
export function dersFrom(input: Uint8Array | string, labels: readonly string[]): Buffer[] {
  if (typeof input !== "string") {
    const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
    if (bytes[0] === 0x30) return [bytes];
    return dersFrom(bytes.toString("latin1"), labels);
  }
  return decodePem(input).map(({ label, der }) => {
    if (!labels.includes(label)) throw malformed(`PEM block ${label} where ${labels[0]} belongs`);
    return der;
  });
}

/** Line by line, without blanks at its ends: split would hold millions of them at once. */
function* linesOf(text: string): Generator<string> {
  for (let from = 0; from <= text.length;) {
    const found = text.indexOf("\n", from);
    const to = found < 0 ? text.length : found;
    yield text.slice(from, to).trim();
    from = to + 1;
  }
}

function boundary(line: string): { kind: string; label: string } | undefined {
  const match = /^-----(BEGIN|END) ([A-Z0-9][A-Z0-9 ]{0,62})-----$/.exec(line);
  if (match === null) return undefined;
  return { kind: match[1] ?? "", label: match[2] ?? "" };
}

function decodeBase64(text: string, label: string): Buffer {
  const der = Buffer.from(text, "base64");
  // Node skips what it doesn't know; only text that comes back unchanged was canonical.
  if (der.length === 0 || der.toString("base64") !== text) {
    throw malformed(`PEM block ${label} is not canonical base64`);
  }
  if (der.length > DER_BYTES_MAX) throw malformed(`PEM block ${label} is too long`);
  return der;
}
