// SPDX-License-Identifier: MIT

package main

var (
	ring      [1024]*[4]cell
	ringCells [1024][]cell
	ringBytes [1024][]byte
)

func runStorm(o *options) uint64 {
	var sum uint64
	for i := uint64(o.rounds(40000000)); i > 0; i-- {
		slot := &ring[i%1024]
		if *slot != nil {
			sum += (*slot)[0].tag
		}
		*slot = new([4]cell)
		(*slot)[0].tag = i
	}
	return sum
}

// Slots of even number hold cells, those of odd number bytes, as in C.
func runStormMixed(o *options) uint64 {
	r := seeded(5)
	var sum uint64
	for i := uint64(o.rounds(8000000)); i > 0; i-- {
		bytes := r.log(4, 10)
		if i%2 == 0 {
			slot := &ringCells[i%1024]
			if *slot != nil {
				sum += (*slot)[0].tag
			}
			*slot = newCells(bytes, i)
		} else {
			slot := &ringBytes[i%1024]
			sum += tagOf(*slot)
			*slot = make([]byte, bytes)
			touch(*slot, i)
		}
	}
	return sum
}
