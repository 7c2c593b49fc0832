// The string types of ASN.1 to text. Unknown types and undecodable bytes give undefined: what to
// do then (refuse, show as hexadecimal) is the caller's to say.

import { type DerNode, TAG } from "./der.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const UTF16 = new TextDecoder("utf-16be", { fatal: true, ignoreBOM: true });

/** The text of a string value, or undefined if its type is none or its bytes don't decode. */
export function textOf(node: DerNode): string | undefined {
  const bytes = node.content;
  switch (node.tag) {
    case TAG.utf8String:
      return utf8Of(bytes);
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.numericString:
    case TAG.visibleString:
      return asciiOf(bytes);
    case TAG.teletexString:
      return bytes.toString("latin1");
    case TAG.bmpString:
      return decode(UTF16, bytes);
    case TAG.universalString:
      return utf32Of(bytes);
    default:
      return undefined;
  }
}

/** Strict UTF-8, or undefined. */
export const utf8Of = (bytes: Uint8Array): string | undefined => decode(UTF8, bytes);

/** 7-bit text, or undefined. */
export function asciiOf(bytes: Buffer): string | undefined {
  return bytes.every((byte) => byte < 0x80) ? bytes.toString("latin1") : undefined;
}

function decode(
  decoder: { decode(bytes: Uint8Array): string },
  bytes: Uint8Array,
): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function utf32Of(bytes: Buffer): string | undefined {
  if (bytes.length % 4 !== 0) return undefined;
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const point = bytes.readUInt32BE(at);
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
    text += String.fromCodePoint(point);
  }
  return text;
}
