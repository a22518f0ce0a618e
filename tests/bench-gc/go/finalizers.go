// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync/atomic"
	"time"
)

type resource struct {
	unused              *resource
	handle, state, more uint64
}

var (
	resources [50000]*resource
	finalized uint64
)

func finalize(r *resource) {
	if r.state != ^r.handle {
		fail("a finalizer was given an object that is none")
	}
	r.state = 0
	atomic.AddUint64(&finalized, 1)
}

// Go runs finalizers in a goroutine of its own: it is waited for here.
func finishFinalizers(rounds uint64) {
	for i := range resources {
		resources[i] = nil
	}
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	for wait := 0; wait < 5000 && atomic.LoadUint64(&finalized) < rounds; wait++ {
		time.Sleep(time.Millisecond)
	}
}

func runFinalizers(o *options) uint64 {
	rounds := uint64(o.rounds(1000000))
	var sum uint64
	for i := uint64(0); i < rounds; i++ {
		r := &resource{handle: i, state: ^i}
		runtime.SetFinalizer(r, finalize)
		slot := &resources[i%50000]
		if *slot != nil {
			sum += (*slot).handle
		}
		*slot = r
	}
	finishFinalizers(rounds)
	if done := atomic.LoadUint64(&finalized); done < rounds-rounds/20-1 {
		fail("%d finalizers ran for %d objects", done, rounds)
	}
	return sum
}
