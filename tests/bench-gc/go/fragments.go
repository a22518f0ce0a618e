// SPDX-License-Identifier: MIT

package main

const wheelTicks = 1 << 19

var wheel []*cell

func lifeOf(r *random) uint32 {
	dice := r.below(100)
	if dice < 80 {
		return r.between(1, 1<<8)
	}
	if dice < 95 {
		return r.between(1, 1<<15)
	}
	return r.between(1, wheelTicks-1)
}

func bytesOf(r *random, phase uint64) uint32 {
	switch phase % 4 {
	case 0:
		return r.log(5, 7)
	case 1:
		return r.log(8, 10)
	case 2:
		return r.log(5, 14) &^ 15
	default:
		return 1<<r.between(5, 11) + 16
	}
}

func runFragments(o *options) uint64 {
	r := seeded(6)
	ticks := uint64(o.rounds(6000000))
	var sum uint64
	wheel = make([]*cell, wheelTicks)
	for i := uint64(0); i < ticks; i++ {
		now := uint32(i % wheelTicks)
		end := (now + lifeOf(&r)) % wheelTicks
		cells := newCells(bytesOf(&r, i*8/ticks), i)
		for old := wheel[now]; old != nil; old = old.next {
			sum += old.tag
		}
		wheel[now] = nil
		cells[0].next = wheel[end]
		wheel[end] = &cells[0]
	}
	return sum
}
