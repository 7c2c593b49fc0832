// IP addresses between text and the 4 or 16 bytes of a subject alternative name.

import { isIPv4, isIPv6 } from "node:net";
import { unencodable } from "./der.ts";

/** 4 or 16 bytes of an address without zone or prefix length. */
export function ipBytes(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split(".").map(Number));
  if (!isIPv6(text) || text.includes("%")) throw unencodable(`"${text}" is no IP address`);
  const [head = "", tail] = text.split("::");
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const gap = Array.from({ length: 8 - front.length - back.length }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...front, ...gap, ...back].entries()) {
    bytes.writeUInt16BE(group, index * 2);
  }
  return bytes;
}

/** Text of 4 or 16 bytes (IPv6 in the form of RFC 5952), undefined for another length. */
export function ipText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return undefined;
  const words = Array.from({ length: 8 }, (_, i) =>
    (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
  );
  // The longest run of two or more zero words, the first of equals, becomes "::".
  let [runStart, runLength] = [0, 1];
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (words[start + length] === "0") length++;
    if (length > runLength) [runStart, runLength] = [start, length];
  }
  if (runLength < 2) return words.join(":");
  return `${words.slice(0, runStart).join(":")}::${words.slice(runStart + runLength).join(":")}`;
}

function groups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
