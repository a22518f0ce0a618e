# SPDX-License-Identifier: MIT
# The perl trace: a concordance of the texts on the command line. Every word with the places it
# stands at, pairs of words with their counts, a regular expression over every paragraph, and
# a report in a hash of arrays of hashes. What is printed is a digest, so that two runs compare.
use strict;
use warnings;

my (%places, %pairs, @sections, %shape);

# Hashes of a fixed order make the run repeatable.
die "run with PERL_HASH_SEED=0\n" unless defined $ENV{PERL_HASH_SEED};

for my $path (@ARGV) {
    open my $file, '<', $path or die "$path: $!\n";
    my ($line, $previous) = (0, '');
    while (my $text = <$file>) {
        $line++;
        if ($text =~ /^\s*(\d+(?:\.\d+)*)[.)]\s+(\S.*?)\s*$/) {
            push @sections, { file => $path, number => $1, title => $2, line => $line };
        }
        for my $word (map { lc } $text =~ /[A-Za-z][A-Za-z'-]*/g) {
            push @{ $places{$word} }, $line;
            $pairs{"$previous $word"}++ if $previous ne '';
            $shape{ length $word }{ substr $word, 0, 1 }++;
            $previous = $word;
        }
    }
    close $file;
}

my @rare = sort { length $b <=> length $a || $a cmp $b } grep { @{ $places{$_} } <= 2 } keys %places;
my @common = sort { $pairs{$b} <=> $pairs{$a} || $a cmp $b } keys %pairs;
delete $pairs{$_} for grep { $pairs{$_} == 1 } @common;

my $report = join "\n", map { sprintf '%-20s %s', $_, join ',', @{ $places{$_} } } sort keys %places;
$report =~ s/(\d+),\1\b/$1/g;

printf "%d words, %d pairs left, %d sections, report of %d characters\n",
    scalar keys %places, scalar keys %pairs, scalar @sections, length $report;
print "longest rare words: @rare[0 .. 4]\nmost frequent pairs: ", join(', ', @common[0 .. 4]), "\n";
