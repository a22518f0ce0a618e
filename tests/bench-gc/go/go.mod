module bareheap.test/bench-gc

go 1.19
