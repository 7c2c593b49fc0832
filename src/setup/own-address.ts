// Which of this server's addresses the other members are to use, when nobody says so. Members reach
// each other by IPv4; agents may use either.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { isIPv4 } from "node:net";
import { Fault } from "../base/fault.ts";
import { type LocalAddress, localAddresses, resolveName } from "../host/network.ts";

/**
 * The one that its own name resolves to, or the only one there is. Throws Fault `setup.address`.
 */
export async function guessOwnAddress(certname: string): Promise<string> {
  return chooseAddress(await resolveName(certname), localAddresses());
}

/** `named` are the addresses that its own name resolves to. */
export function chooseAddress(named: readonly string[], local: readonly LocalAddress[]): string {
  const candidates = local
    .map(({ address }) => address)
    .filter((address) => isIPv4(address) && !address.startsWith("127."));
  const own = named.find((address) => candidates.includes(address));
  if (own !== undefined) return own;
  const [first, ...others] = candidates;
  if (first !== undefined && others.length === 0) return first;
  throw new Fault(
    "setup.address",
    "which address the other servers reach this one at isn't clear",
    {
      hints: [
        candidates.length === 0
          ? "It has no IPv4 address, which members reach each other by."
          : `Candidates: ${candidates.join(", ")}`,
        "Say it: --address ADDRESS",
      ],
    },
  );
}

/** The address that packets to `host` leave from. */
export async function addressTowards(host: string): Promise<string> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    // Connecting a datagram socket sends nothing; it only asks the routing table.
    socket.connect(9, host);
    await once(socket, "connect");
    return socket.address().address;
  } catch (error) {
    throw new Fault("setup.address", `there is no route from here to ${host}`, {
      hints: ["Say which address the other servers reach this one at: --address ADDRESS"],
      cause: error,
    });
  } finally {
    socket.close();
  }
}
