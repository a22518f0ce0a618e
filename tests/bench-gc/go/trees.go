// SPDX-License-Identifier: MIT

package main

type tree struct {
	left, right *tree
}

var longLived *tree

func newTree(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{newTree(depth - 1), newTree(depth - 1)}
}

func (t *tree) count() uint64 {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func runTrees(o *options) uint64 {
	most := o.depth(20)
	sum := newTree(most + 1).count()
	longLived = newTree(most)
	sum += o.parallel(func(index int) uint64 {
		var share uint64
		for depth := 4; depth <= most; depth += 2 {
			trees := 1 << (most - depth + 4)
			for i := index; i < trees; i += o.threads {
				share += newTree(depth).count()
			}
		}
		return share
	})
	return sum + longLived.count()
}
