// SPDX-License-Identifier: MIT

package main

import "encoding/binary"

var arrays [32][]byte

func touch(bytes []byte, tag uint64) {
	at := 0
	for ; at+8 <= len(bytes) && at < 1024; at += 64 {
		binary.LittleEndian.PutUint64(bytes[at:], tag)
	}
	for ; at+8 <= len(bytes); at += 4096 {
		binary.LittleEndian.PutUint64(bytes[at:], tag)
	}
}

func tagOf(bytes []byte) uint64 {
	if bytes == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(bytes)
}

func runArrays(o *options) uint64 {
	r := seeded(2)
	var sum uint64
	for i := uint64(o.rounds(4000)); i > 0; i-- {
		slot := &arrays[r.below(32)]
		bytes := r.log(14, 22)
		sum += tagOf(*slot)
		*slot = make([]byte, bytes)
		touch(*slot, i)
	}
	return sum
}
