// Who counts as one sender of requests. A host of IPv6 has a whole network of addresses to come
// from, so a limit per address would be none.

import { isIPv6 } from "node:net";
import { ipBytes, ipText } from "../x509/ip.ts";

/** Bytes of an IPv6 address that name its network: /64. */
const NETWORK_BYTES = 8;
/** Bytes before an IPv4 address that is written as one of IPv6 (RFC 4291 §2.5.5.2). */
const MAPPED = Buffer.from("00000000000000000000ffff", "hex");

/** An address of IPv4 as it is, the network of one of IPv6, any other text as it is. */
export function sourceOf(address: string): string {
  if (!isIPv6(address) || address.includes("%")) return address;
  const bytes = ipBytes(address);
  if (bytes.subarray(0, MAPPED.length).equals(MAPPED)) {
    return ipText(bytes.subarray(MAPPED.length)) ?? address;
  }
  return `${ipText(Buffer.from(bytes).fill(0, NETWORK_BYTES))}/64`;
}
