#!/usr/bin/perl
# A small SMTP server for scenarios: takes every mail, and appends its subject and text to a file.
# mailbox.pl PORT FILE
use strict;
use warnings;
use IO::Socket::INET;

my ($port, $file) = @ARGV;
my $server = IO::Socket::INET->new(Listen => 32, LocalPort => $port, ReuseAddr => 1) or die $!;
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
while (my $client = $server->accept) {
    next if fork;
    alarm 60;
    serve($client);
    exit;
}

sub serve {
    my ($client) = @_;
    $client->autoflush(1);
    print $client "220 mailbox\r\n";
    while (my $line = <$client>) {
        if ($line =~ /^DATA/i) {
            print $client "354 go on\r\n";
            my $mail = '';
            while (defined(my $text = <$client>)) {
                last if $text =~ /^\.\r?\n$/;
                $mail .= $text;
            }
            # A subject that goes on in the next line is one.
            $mail =~ s/\r\n/\n/g;
            $mail =~ s/\n[ \t]+/ /g;
            open my $out, '>>', $file or die $!;
            # In one write: mails come at the same time.
            syswrite $out, "=====\n$mail\n";
            close $out;
            print $client "250 kept\r\n";
        }
        elsif ($line =~ /^QUIT/i) { print $client "221 bye\r\n"; return }
        else { print $client "250 ok\r\n" }
    }
}
