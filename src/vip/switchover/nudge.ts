// Clients that only wait for an answer say nothing, so they aren't told that their server is dead.
// A segment from far outside of what they expect makes their kernel say what it does expect (RFC
// 9293, 3.10.7.4), and that is answered with a reset. Node has no raw sockets, hence perl, which is
// part of every Debian system. A client that has long gone answers with a reset itself, or not at
// all.

import { run } from "../../host/process.ts";
import type { Socket } from "./render.ts";

const NUDGE_MS = 30_000;

/** Sends each client a segment in its server's name. Throws Fault `host.command-failed`. */
export async function nudge(sockets: readonly Socket[]): Promise<void> {
  if (sockets.length === 0) return;
  const lines = sockets.map(
    ({ from, fromPort, to, toPort }) => `${from} ${fromPort} ${to} ${toPort}`,
  );
  await run(["perl", "-e", PROGRAM], { input: `${lines.join("\n")}\n`, withinMs: NUDGE_MS });
}

const PROGRAM = `
use strict;
use warnings;
use Socket;
my %sockets;
sub checksum {
    my $sum = 0;
    $sum += $_ for unpack('n*', $_[0]);
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
    return ~$sum & 0xffff;
}
while (my $line = <STDIN>) {
    my ($to, $to_port, $from, $from_port) = split ' ', $line;
    my ($source, $target) = (inet_aton($from), inet_aton($to));
    $sockets{$from} //= do {
        socket(my $socket, AF_INET, SOCK_RAW, 6) or die "socket: $!";
        bind($socket, pack_sockaddr_in(0, $source)) or die "bind $from: $!";
        $socket;
    };
    # Of two numbers that are half of all apart, one is outside of any window.
    my $number = int(rand(0xffffffff));
    for my $seq ($number, ($number + 0x80000000) % 0x100000000) {
        my $head = pack('nnNNnnnn', $from_port, $to_port, $seq, 0, 0x5010, 0, 0, 0);
        my $sum = checksum($source . $target . pack('nn', 6, length $head) . $head);
        substr($head, 16, 2) = pack('n', $sum);
        send($sockets{$from}, $head, 0, pack_sockaddr_in(0, $target));
    }
}
`;
