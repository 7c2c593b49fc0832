#!/usr/bin/perl
# A slow, lossy stretch of cable: carries Ethernet frames between two interfaces, each a while later,
# some of them never. In Perl and from user space, because many kernels come without tc's netem.
# relay.pl INTERFACE INTERFACE DELAY_MS LOSS_PERCENT
use strict;
use warnings;
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant { AF_PACKET => 17, ETH_P_ALL => 3, PACKET_OUTGOING => 4, FRAME_BYTES_MAX => 65536 };
# A queue that outgrows this drops frames, as a real line's would.
use constant QUEUE_MAX => 20000;

my ($left, $right, $delay_ms, $loss_percent) = @ARGV;
my @ends = map { open_end($_) } ($left, $right);
my @queue;
$| = 1;
print "ready\n";

while (1) {
    my $now = clock_gettime(CLOCK_MONOTONIC);
    while (@queue && $queue[0][0] <= $now) {
        my (undef, $end, $frame) = @{ shift @queue };
        # Fails while that side's cable is out; the frame is lost then.
        send($ends[$end], $frame, 0);
    }
    my $waiting = '';
    vec($waiting, fileno($_), 1) = 1 for @ends;
    select($waiting, undef, undef, @queue ? max0($queue[0][0] - $now) : undef);
    receive($_) for grep { vec($waiting, fileno($ends[$_]), 1) } (0, 1);
}

sub receive {
    my ($end) = @_;
    my $from = recv($ends[$end], my $frame, FRAME_BYTES_MAX, 0);
    return unless defined $from;
    my (undef, undef, undef, undef, $type) = unpack('S n i S C', $from);
    return if $type == PACKET_OUTGOING || rand(100) < $loss_percent || @queue >= QUEUE_MAX;
    push @queue, [ clock_gettime(CLOCK_MONOTONIC) + $delay_ms / 1000, 1 - $end, $frame ];
}

sub open_end {
    my ($name) = @_;
    socket(my $end, AF_PACKET, SOCK_RAW, unpack('S', pack('n', ETH_P_ALL))) or die "$name: $!";
    my $request = pack('a16 x24', $name);
    ioctl($end, 0x8933, $request) or die "$name: $!";    # SIOCGIFINDEX
    my $index = unpack('x16 i', $request);
    bind($end, pack('S n i S C C a8', AF_PACKET, ETH_P_ALL, $index, 0, 0, 0, '')) or die "$name: $!";
    return $end;
}

sub max0 { return $_[0] > 0 ? $_[0] : 0 }
