// A TCP proxy for tests that can keep an etcd member's answers to itself (the request arrives and
// is carried out, and nobody hears of it) or break off in the middle of one.

import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface MuteProxy {
  url: string;
  /** From now on answers are swallowed; resolves when one has been. */
  mute(): Promise<void>;
  unmute(): void;
  /** Ends every connection once so many bytes of answers have gone through it. */
  cutAfter(bytes: number): void;
  close(): Promise<void>;
}

/** Starts a proxy on loopback in front of `target` (an http URL). */
export async function startMuteProxy(target: string): Promise<MuteProxy> {
  const { hostname, port } = new URL(target);
  let onSwallowed: (() => void) | undefined;
  let muted = false;
  let bytesMax = Number.POSITIVE_INFINITY;
  const sockets = new Set<Socket>();
  const server = createServer((from) => {
    const to = connect(Number(port), hostname);
    for (const socket of [from, to]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    from.pipe(to);
    from.on("close", () => to.destroy());
    to.on("close", () => from.destroy());
    let bytes = 0;
    to.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax) to.destroy();
      else if (muted) onSwallowed?.();
      else from.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mute() {
      muted = true;
      return new Promise((resolve) => {
        onSwallowed = resolve;
      });
    },
    unmute() {
      muted = false;
      onSwallowed = undefined;
    },
    cutAfter(bytes) {
      bytesMax = bytes;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
