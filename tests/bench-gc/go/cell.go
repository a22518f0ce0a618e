// SPDX-License-Identifier: MIT

package main

// An object of any size is a row of these, as in tests/bench-gc/heap.h.
type cell struct {
	next *cell
	tag  uint64
}

func newCells(bytes uint32, tag uint64) []cell {
	count := int(bytes+15) / 16
	cells := make([]cell, count)
	for i := 0; i < count && i < 64; i += 4 {
		cells[i].tag = tag
	}
	for i := 64; i < count; i += 256 {
		cells[i].tag = tag
	}
	return cells
}
