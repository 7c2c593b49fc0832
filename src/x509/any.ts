// Values of any type: attributes of requests, parameters of algorithms. Nothing here looks into
// them, but OpenSSL reads each by its own type, and with one that is none it refuses the whole.

import { checkBits, type DerNode, malformed, oidOf, TAG } from "./der.ts";

/** Shortest content of a time in bytes: down to the second, with its "Z". */
const UTC_TIME_BYTES = 13;
const GENERALIZED_TIME_BYTES = 15;

/** Faults where a primitive value isn't what its type demands. What is constructed isn't entered. */
export function checkAny(node: DerNode, what: string): void {
  if (node.tag === TAG.oid) void oidOf(node, what);
  else if (node.tag === TAG.bitString) checkBits(node, what);
  else if (!isSound(node)) throw malformed(`${what} has a value that is none of its type`);
}

function isSound({ tag, content }: DerNode): boolean {
  const { length } = content;
  switch (tag) {
    case TAG.boolean:
      return length === 1;
    case TAG.null:
      return length === 0;
    case TAG.integer:
    case TAG.enumerated:
      return isMinimal(content);
    case TAG.bmpString:
      return length % 2 === 0;
    case TAG.universalString:
      return length % 4 === 0;
    case TAG.utcTime:
      return length >= UTC_TIME_BYTES;
    case TAG.generalizedTime:
      return length >= GENERALIZED_TIME_BYTES;
    default:
      return true;
  }
}

function isMinimal([first, second]: Buffer): boolean {
  if (first === undefined) return false;
  if (second === undefined) return true;
  return !(first === 0 && second < 0x80) && !(first === 0xff && second >= 0x80);
}
