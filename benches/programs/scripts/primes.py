"""Primes up to N by the sieve, with their gaps."""
import sys
from collections import Counter

n = int(sys.argv[1])
sieve = [True] * (n + 1)
sieve[0] = sieve[1] = False
for i in range(2, int(n**0.5) + 1):
    if sieve[i]:
        sieve[i * i :: i] = [False] * len(range(i * i, n + 1, i))
primes = [i for i, is_prime in enumerate(sieve) if is_prime]
gaps = Counter(b - a for a, b in zip(primes, primes[1:]))
print(len(primes), gaps.most_common(5))
