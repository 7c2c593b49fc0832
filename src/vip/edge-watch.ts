// The program that keepalived runs once a second to learn whether the edge on this server lives. It
// holds a connection to HAProxy's stats socket for most of that second: a dead HAProxy ends it at
// once, a stopped one (SIGSTOP, a hung thread) answers nothing for a whole run. It needs no daemon,
// no etcd and no Node: perl is part of every Debian system and starts in 4 ms where Node takes 50.
// Danger: a busy edge must not lose its address, as a move breaks every open connection; so only a
// whole run of silence counts, and a socket that is gone for a moment (a reload) is tried again.

/** How long one run watches. keepalived 2.2 starts one each second, and they must not overlap. */
const WATCH_MS = 880;
const ROUND_MS = 110;
/** Tries to reach the socket before the edge counts as dead, and the pause between them. */
const CONNECT_TRIES = 3;
const CONNECT_PAUSE_MS = 40;

/** The program's text. Arguments: path of the stats socket. Exit 0: the edge answers. */
export function renderEdgeWatch(): string {
  return `#!/usr/bin/perl
# Rendered by Understudy; changes are overwritten.
# Exit 0 when the HAProxy behind the stats socket ARGV[0] answers while it is watched, else 1.
use strict;
use warnings;

my $path = shift @ARGV;
defined $path or exit 2;
$SIG{PIPE} = 'IGNORE';

sub pause { select(undef, undef, undef, $_[0] / 1000) }

sub reach {
    for my $try (1 .. ${CONNECT_TRIES}) {
        pause(${CONNECT_PAUSE_MS}) if $try > 1;
        # 1, 1: AF_UNIX, SOCK_STREAM
        socket(my $edge, 1, 1, 0) or next;
        connect($edge, pack('S a108', 1, $path)) or next;
        # Keeps the connection open after an answer; answered with a prompt, as every empty line is.
        defined syswrite($edge, "prompt\\n") and return $edge;
    }
    exit 1;
}

my $edge = reach();
my $answered = 0;
for (1 .. ${Math.floor(WATCH_MS / ROUND_MS)}) {
    my $left = ${ROUND_MS} / 1000;
    while ($left > 0.001) {
        my $wanted = '';
        vec($wanted, fileno($edge), 1) = 1;
        (my $ready, $left) = select($wanted, undef, undef, $left);
        last unless $ready > 0;
        if (sysread($edge, my $text, 4096)) { $answered = 1 }
        else { $edge = reach() }
    }
    defined syswrite($edge, "\\n") or $edge = reach();
}
exit($answered ? 0 : 1);
`;
}
