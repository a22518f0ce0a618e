// SPDX-License-Identifier: MIT

package main

const (
	stretchDepth = 18
	longDepth    = 16
)

type node struct {
	left, right *node
	i, j        int32
}

func (n *node) populate(depth int) {
	if depth == 0 {
		return
	}
	n.left = &node{}
	n.right = &node{}
	n.left.populate(depth - 1)
	n.right.populate(depth - 1)
}

func nodesDown(depth int) *node {
	n := &node{}
	n.populate(depth)
	return n
}

func nodesUp(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	left := nodesUp(depth - 1)
	right := nodesUp(depth - 1)
	return &node{left: left, right: right}
}

func (n *node) count() uint64 {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func treesOf(depth int) uint64 {
	count := 2 * (((2 << stretchDepth) - 1) / ((2 << depth) - 1))
	var sum uint64
	for i := 0; i < count; i++ {
		if nodesDown(depth) != nil {
			sum++
		}
	}
	for i := 0; i < count; i++ {
		if nodesUp(depth) != nil {
			sum++
		}
	}
	return sum
}

func runGCBench(o *options) uint64 {
	return o.parallel(func(index int) uint64 {
		sum := nodesUp(stretchDepth).count()
		longLived := nodesDown(longDepth)
		numbers := make([]float64, 500000)
		for i := range numbers {
			numbers[i] = 1.0 / float64(i+1)
		}
		for round := o.rounds(4); round > 0; round-- {
			for depth := 4; depth <= longDepth; depth += 2 {
				sum += treesOf(depth)
			}
		}
		if numbers[999] == 1.0/1000 {
			sum++
		}
		return sum + longLived.count() + uint64(index)
	})
}
