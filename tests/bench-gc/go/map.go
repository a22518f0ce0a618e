// SPDX-License-Identifier: MIT

package main

import "encoding/binary"

type entry struct {
	next  *entry
	key   []byte
	value *cell
	hash  uint64
}

// Not Go's own map: the work is to be that of the C program.
type chains struct {
	slots   []*entry
	entries uint64
}

var table chains

func hashOf(key uint64) uint64 {
	hash := key * 0x9e3779b97f4a7c15
	return hash ^ hash>>29
}

func (t *chains) find(key uint64) **entry {
	hash := hashOf(key)
	at := &t.slots[hash&uint64(len(t.slots)-1)]
	for *at != nil && ((*at).hash != hash || binary.LittleEndian.Uint64((*at).key) != key) {
		at = &(*at).next
	}
	return at
}

func (t *chains) grow() {
	slots := make([]*entry, 2*len(t.slots))
	for _, e := range t.slots {
		for e != nil {
			next := e.next
			at := &slots[e.hash&uint64(len(slots)-1)]
			e.next = *at
			*at = e
			e = next
		}
	}
	t.slots = slots
}

func newEntry(key, keyBytes uint64) *entry {
	e := &entry{hash: hashOf(key), key: make([]byte, keyBytes)}
	binary.LittleEndian.PutUint64(e.key, key)
	return e
}

func (t *chains) put(key, keyBytes, value uint64) uint64 {
	at := t.find(key)
	if *at == nil {
		*at = newEntry(key, keyBytes)
		t.entries++
	}
	var old uint64
	if (*at).value != nil {
		old = (*at).value.tag
	}
	(*at).value = &cell{tag: value}
	if t.entries > uint64(len(t.slots)) {
		t.grow()
	}
	return old
}

func (t *chains) takeOut(key uint64) uint64 {
	at := t.find(key)
	e := *at
	if e == nil {
		return 0
	}
	*at = e.next
	t.entries--
	return e.value.tag
}

func runMap(o *options) uint64 {
	r := seeded(4)
	var sum uint64
	table.slots = make([]*entry, 64)
	for i := uint64(o.rounds(6000000)); i > 0; i-- {
		key := uint64(r.below(600000))
		switch r.below(4) {
		case 0:
			sum += table.takeOut(key)
		case 1:
			if *table.find(key) != nil {
				sum++
			}
		default:
			sum += table.put(key, 16+key%32, i)
		}
	}
	return sum + table.entries
}
