// SPDX-License-Identifier: MIT

package main

type link struct {
	next  *link
	value uint64
}

var lists [16384]*link

func push(list **link, count uint32, value uint64) {
	for i := uint64(0); i < uint64(count); i++ {
		*list = &link{*list, value + i}
	}
}

func turnRound(list **link) {
	var turned *link
	for at := *list; at != nil; {
		next := at.next
		at.next = turned
		turned = at
		at = next
	}
	*list = turned
}

func drop(list **link) uint64 {
	var sum, place uint64
	for at := *list; at != nil; at = at.next {
		place++
		sum += at.value * place
	}
	*list = nil
	return sum
}

func runLists(o *options) uint64 {
	r := seeded(3)
	var sum uint64
	for i := uint64(o.rounds(2000000)); i > 0; i-- {
		list := &lists[r.below(16384)]
		switch r.below(8) {
		case 0:
			sum += drop(list)
		case 1:
			turnRound(list)
		default:
			push(list, r.between(1, 16), i)
		}
	}
	for i := range lists {
		sum += drop(&lists[i])
	}
	return sum
}
