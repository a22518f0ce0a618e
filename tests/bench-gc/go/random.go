// SPDX-License-Identifier: MIT

package main

// The generator of tests/bench/bench.h: the same numbers.
type random struct {
	state uint64
}

func seeded(seed uint64) random {
	return random{(seed+1)*0x9e3779b97f4a7c15 | 1}
}

func (r *random) next() uint32 {
	r.state ^= r.state >> 12
	r.state ^= r.state << 25
	r.state ^= r.state >> 27
	return uint32(r.state * 0x2545f4914f6cdd1d >> 32)
}

// Less than `bound`, which is not 0.
func (r *random) below(bound uint32) uint32 {
	return uint32(uint64(r.next()) * uint64(bound) >> 32)
}

// From `low` to `high`, both included.
func (r *random) between(low, high uint32) uint32 {
	return low + r.below(high-low+1)
}

// From 2^low to 2^(high+1) - 1, each power of two as often as the others.
func (r *random) log(low, high uint32) uint32 {
	base := uint32(1) << r.between(low, high)
	return base + r.below(base)
}
