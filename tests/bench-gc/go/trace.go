// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"hash/crc32"
	"os"
)

// The operations, as in tests/traces/trace.h.
const (
	opAlloc = iota
	opCalloc
	opAligned
	opRealloc
	opFree
)

const headerBytes = 72

// An event in terms of slots, as in tests/bench/steps.h.
type step struct {
	op          uint8
	slot, bytes uint32
}

// Reads the events of a trace (tools/trace-format.md).
type reader struct {
	data []byte
	at   int
}

func (r *reader) byte() byte {
	if r.at >= len(r.data) {
		fail("the trace ends in the middle of a number")
	}
	r.at++
	return r.data[r.at-1]
}

func (r *reader) rest(low uint64, shift uint) uint64 {
	for {
		b := r.byte()
		low |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			return low
		}
		shift += 7
	}
}

// The number that begins in the low `bits` bits of `lead`.
func (r *reader) number(lead byte, bits uint) uint64 {
	more := byte(1) << (bits - 1)
	low := uint64(lead & (more - 1))
	if lead&more == 0 {
		return low
	}
	return r.rest(low, bits-1)
}

type slots struct {
	byID []uint32
	free []uint32
	used uint32
}

func (s *slots) born() uint32 {
	slot := s.used
	if count := len(s.free); count > 0 {
		slot = s.free[count-1]
		s.free = s.free[:count-1]
	} else {
		s.used++
	}
	s.byID = append(s.byID, slot)
	return slot
}

func (s *slots) old(distance uint64) uint32 {
	if distance >= uint64(len(s.byID)) {
		fail("the trace ends an object before the first")
	}
	return s.byID[uint64(len(s.byID))-1-distance]
}

func tagRoom(bytes uint64) uint32 {
	if bytes < 8 {
		return 8
	}
	return uint32(bytes)
}

// The next event; false for a change of thread, which is none.
func (r *reader) step(s *slots) (step, bool) {
	lead := r.byte()
	switch {
	case lead>>6 == 0:
		bytes := r.number(lead, 6)
		return step{opAlloc, s.born(), tagRoom(bytes)}, true
	case lead>>6 == 1:
		slot := s.old(r.number(lead, 6))
		s.free = append(s.free, slot)
		return step{op: opFree, slot: slot}, true
	case lead>>6 == 2:
		slot := s.old(r.number(lead, 6))
		s.byID = append(s.byID, slot)
		return step{opRealloc, slot, tagRoom(r.rest(0, 0))}, true
	case lead>>4 == 12:
		bytes := r.number(lead, 4)
		return step{opCalloc, s.born(), tagRoom(bytes)}, true
	case lead>>4 == 13:
		r.number(lead, 4)
		return step{opAligned, s.born(), tagRoom(r.rest(0, 0))}, true
	case lead>>4 == 14:
		r.number(lead, 4)
		return step{}, false
	}
	fail("the trace has an operation that is not defined")
	return step{}, false
}

func events(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil || len(data) < headerBytes || string(data[:8]) != "BHTRACE\x00" {
		fail("%s is no trace", path)
	}
	start := headerBytes + int(binary.LittleEndian.Uint16(data[20:])) + int(binary.LittleEndian.Uint16(data[22:]))
	end := start + int(binary.LittleEndian.Uint64(data[64:]))
	if end > len(data) || crc32.ChecksumIEEE(data[16:end]) != binary.LittleEndian.Uint32(data[12:]) {
		fail("%s is damaged", path)
	}
	return data[start:end]
}

func readSteps(path string) ([]step, uint32) {
	r := reader{data: events(path)}
	var s slots
	var steps []step
	for r.at < len(r.data) {
		if next, ok := r.step(&s); ok {
			steps = append(steps, next)
		}
	}
	return steps, s.used
}

var held [][]cell // by slot

func runStep(s *step, tag uint64) uint64 {
	old := held[s.slot]
	if s.op == opFree {
		held[s.slot] = nil
		return old[0].tag
	}
	cells := newCells(s.bytes, tag)
	held[s.slot] = cells
	if s.op != opRealloc || old == nil {
		return 0
	}
	copy(cells, old)
	return cells[0].tag
}

func runSteps(steps []step) uint64 {
	var sum uint64
	for i := range steps {
		sum += runStep(&steps[i], uint64(i))
	}
	for i, cells := range held {
		if cells != nil {
			sum += cells[0].tag
		}
		held[i] = nil
	}
	return sum
}

// How often the trace is run: until there were enough events, or enough bytes.
func roundsOf(steps []step, o *options) uint64 {
	bytes, byEvents := uint64(1), uint64(o.rounds(4000000))/uint64(len(steps)+1)
	for i := range steps {
		bytes += uint64(steps[i].bytes)
	}
	if byBytes := (4 << 30) / 100 * uint64(o.effort) / bytes; byBytes < byEvents {
		return 1 + byBytes
	}
	return 1 + byEvents
}

func runTrace(o *options) uint64 {
	if o.file == "" {
		fail("say which trace: file=tests/traces/gcc.bht")
	}
	steps, count := readSteps(o.file)
	rounds := roundsOf(steps, o)
	held = make([][]cell, count+1)
	startClock()
	var sum uint64
	for i := uint64(0); i < rounds; i++ {
		sum += runSteps(steps)
	}
	return sum
}
