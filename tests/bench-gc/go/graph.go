// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sort"
	"time"
)

type vertex struct {
	children [2]*vertex
	other    *vertex
	id       uint64
}

var root *vertex

func buildGraph(count uint32) *vertex {
	r := seeded(1)
	table := make([]*vertex, count)
	for i := range table {
		table[i] = &vertex{id: uint64(i)}
	}
	for i := count - 1; i > 0; i-- {
		other := r.below(i + 1)
		table[i], table[other] = table[other], table[i]
	}
	for i := uint32(0); i < count; i++ {
		for side := uint32(0); side < 2; side++ {
			if 2*i+1+side < count {
				table[i].children[side] = table[2*i+1+side]
			}
		}
		table[i].other = table[r.below(count)]
	}
	return table[0]
}

func (v *vertex) sum() uint64 {
	if v == nil {
		return 0
	}
	return v.id + v.other.id + v.children[0].sum() + v.children[1].sum()
}

// runtime.GC() returns after sweeping; its time is all that Go tells of one collection.
func runGraph(o *options) uint64 {
	root = buildGraph(uint32(o.rounds(4000000)))
	var marks []time.Duration
	for i := 0; i < 7; i++ {
		began := time.Now()
		runtime.GC()
		marks = append(marks, time.Since(began))
	}
	sort.Slice(marks, func(i, j int) bool { return marks[i] < marks[j] })
	measured = marks[len(marks)/2]
	return root.sum()
}
