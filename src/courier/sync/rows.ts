// The rows of a PuppetDB's answer, one JSON array of objects, as text and one at a time: an answer
// may be larger than the memory. Danger: PuppetDB says 200 before it knows whether it gets through,
// so an array that doesn't close is a failure, not a short answer.

const [OPEN_ARRAY, CLOSE_ARRAY, OPEN, CLOSE] = [0x5b, 0x5d, 0x7b, 0x7d];
const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const BLANKS = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** The answer isn't the array of objects that it is to be. */
export class BadRows extends Error {}

/** Where the reader is between rows. */
type Place = "before" | "first" | "next" | "after-row" | "end";

/**
 * The text of each object in the array that `pieces` make up; what is inside of it isn't checked.
 * Throws BadRows, also for a row longer than `bytesMax`.
 */
export async function* rowsIn(
  pieces: AsyncIterable<Buffer>,
  bytesMax: number,
): AsyncGenerator<string> {
  let place: Place = "before";
  let row: Buffer[] = [];
  let rowBytes = 0;
  let [depth, inString, escaped] = [0, false, false];
  for await (const piece of pieces) {
    let from = 0;
    for (let at = 0; at < piece.length; at += 1) {
      const byte = piece[at] ?? 0;
      if (depth === 0) {
        if (BLANKS.has(byte)) continue;
        place = between(place, byte);
        if (byte !== OPEN) continue;
        [depth, from] = [1, at];
      } else if (inString) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inString = false;
      } else if (byte === QUOTE) inString = true;
      else if (byte === OPEN || byte === OPEN_ARRAY) depth += 1;
      else if (byte === CLOSE || byte === CLOSE_ARRAY) depth -= 1;
      else continue;
      if (depth > 0) continue;
      row.push(piece.subarray(from, at + 1));
      yield Buffer.concat(row).toString("utf8");
      [row, rowBytes] = [[], 0];
    }
    if (depth === 0) continue;
    row.push(piece.subarray(from));
    rowBytes += piece.length - from;
    if (rowBytes > bytesMax) throw new BadRows(`a row is longer than ${bytesMax} bytes`);
  }
  if (place !== "end") throw new BadRows("the answer broke off");
}

/** Where `byte`, which is no blank, leads from `place` outside of any row. */
function between(place: Place, byte: number): Place {
  if (place === "before" && byte === OPEN_ARRAY) return "first";
  if ((place === "first" || place === "next") && byte === OPEN) return "after-row";
  if (place === "after-row" && byte === COMMA) return "next";
  if ((place === "first" || place === "after-row") && byte === CLOSE_ARRAY) return "end";
  const shown = JSON.stringify(String.fromCharCode(byte));
  throw new BadRows(`the answer is no array of objects: ${shown} where it can't be`);
}
