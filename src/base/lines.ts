// Lines out of pieces of bytes, with a bound: whoever writes no newline gets no memory for it.

const NEWLINE = 0x0a;

/**
 * The lines of `pieces` with their newlines; the last may lack it. One that is longer than
 * `bytesMax` ends the reading: what there is of it comes last, without a newline.
 */
export async function* linesIn(
  pieces: AsyncIterable<Buffer>,
  bytesMax: number,
): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const piece of pieces) {
    let from = 0;
    for (let to = piece.indexOf(NEWLINE); to !== -1; to = piece.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...rest, piece.subarray(from, to + 1)]);
      rest = [];
      restBytes = 0;
      from = to + 1;
    }
    rest.push(piece.subarray(from));
    restBytes += piece.length - from;
    if (restBytes > bytesMax) break;
  }
  if (restBytes > 0) yield Buffer.concat(rest);
}
