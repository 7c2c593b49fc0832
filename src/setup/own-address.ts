// Which of this server's addresses the other members are to use, when nobody says so.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Fault } from "../base/fault.ts";
import { type LocalAddress, localAddresses, resolveName } from "../host/network.ts";

/**
 * The one that its own name resolves to, or the only one there is. Throws Fault `setup.address`.
 */
export async function guessOwnAddress(certname: string): Promise<string> {
  const local = localAddresses();
  const named = (await resolveName(certname)).find((each) => isOwn(each, local));
  if (named !== undefined) return named;
  const [first, ...others] = local.filter((each) => each.family === 4 && !isLoopback(each.address));
  if (first !== undefined && others.length === 0) return first.address;
  throw new Fault(
    "setup.address",
    "which address the other servers reach this one at isn't clear",
    {
      hints: [
        `Candidates: ${local.map((each) => each.address).join(", ")}`,
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

function isOwn(address: string, local: readonly LocalAddress[]): boolean {
  return local.some((each) => each.address === address) && !isLoopback(address);
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
