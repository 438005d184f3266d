# The nearest neighbour of every point, by looking at all pairs.
use strict;
use warnings;

open my $source, '<', $ARGV[0] or die "$ARGV[0]: $!";
my (@x, @y, @z);
while (<$source>) {
    my ($x, $y, $z) = split;
    push @x, $x; push @y, $y; push @z, $z;
}
my $total = 0;
for my $i (0 .. $#x) {
    my ($px, $py, $pz, $best) = ($x[$i], $y[$i], $z[$i], 1e30);
    for my $j (0 .. $#x) {
        my $d = ($px - $x[$j])**2 + ($py - $y[$j])**2 + ($pz - $z[$j])**2;
        $best = $d if $d < $best && $j != $i;
    }
    $total += sqrt $best;
}
printf "%.4f\n", $total / @x;
