// SPDX-License-Identifier: MIT

// Runs one workload under Go's collector and prints what tests/bench-gc/main.c prints:
//
//	go-workloads NAME [threads=N] [effort=PERCENT] [markers=N] [file=TRACE]
//	go-workloads --list
//
// Each file is the C file of its name, step by step, with the same random numbers and checksums.
package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"
)

type options struct {
	threads, effort, markers int
	file                     string
}

var workloads = map[string]func(*options) uint64{
	"trees": runTrees, "gcbench": runGCBench, "graph": runGraph, "arrays": runArrays,
	"lists": runLists, "map": runMap, "storm": runStorm, "storm-mixed": runStormMixed,
	"trace": runTrace, "finalizers": runFinalizers, "fragments": runFragments,
}

var (
	started time.Time
	// What is printed instead of the time since startClock(), when it is not 0.
	measured time.Duration
)

// Preparations are over: what follows is measured.
func startClock() {
	started = time.Now()
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "go-workloads: "+format+"\n", arguments...)
	os.Exit(2)
}

func number(text string, low, high int) int {
	value, err := strconv.Atoi(text)
	if err != nil || value < low || value > high {
		fail("%s: a number from %d to %d is wanted", text, low, high)
	}
	return value
}

func parse(words []string) *options {
	o := &options{threads: runtime.NumCPU(), effort: 100, markers: runtime.NumCPU()}
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "threads":
			o.threads = number(value, 1, 64)
		case "effort":
			o.effort = number(value, 1, 10000)
		case "markers":
			o.markers = number(value, 1, 16)
		case "file":
			o.file = value
		default:
			fail("%s: no option; there are threads=N, effort=PERCENT, markers=N, file=TRACE", word)
		}
	}
	return o
}

// `usual` times the effort, at least 1.
func (o *options) rounds(usual int) int {
	if rounds := usual * o.effort / 100; rounds > 1 {
		return rounds
	}
	return 1
}

// A depth of trees: one less for each halving of the effort.
func (o *options) depth(usual int) int {
	for effort := o.effort; effort < 100 && usual > 6; effort *= 2 {
		usual--
	}
	return usual
}

// Runs work(index) in as many goroutines as there are threads and sums up what they return.
func (o *options) parallel(work func(index int) uint64) uint64 {
	results := make([]uint64, o.threads)
	var group sync.WaitGroup
	for i := range results {
		group.Add(1)
		go func(index int) {
			results[index] = work(index)
			group.Done()
		}(i)
	}
	group.Wait()
	var sum uint64
	for _, result := range results {
		sum += result
	}
	return sum
}

// The upper edge of the bucket that holds the pause than which `above` are longer.
func pauseOf(pauses *metrics.Float64Histogram, above uint64) int64 {
	var seen uint64
	for i := len(pauses.Counts) - 1; i >= 0; i-- {
		seen += pauses.Counts[i]
		if seen > above {
			edge := pauses.Buckets[i+1]
			if math.IsInf(edge, 1) {
				edge = pauses.Buckets[i]
			}
			return int64(edge * 1e9)
		}
	}
	return 0
}

func report(checksum uint64, took time.Duration) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	sample := []metrics.Sample{{Name: "/gc/pauses:seconds"}}
	metrics.Read(sample)
	pauses := sample[0].Value.Float64Histogram()
	var count uint64
	for _, n := range pauses.Counts {
		count += n
	}
	fmt.Printf("time_ns=%d checksum=%d cycles=%d pause_max_ns=%d pause_p99_ns=%d pause_total_ns=%d\n",
		took.Nanoseconds(), checksum, stats.NumGC, pauseOf(pauses, 0), pauseOf(pauses, count/100), stats.PauseTotalNs)
}

func list() {
	for name := range workloads {
		fmt.Println(name)
	}
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		list()
		return
	}
	if len(os.Args) < 2 || workloads[os.Args[1]] == nil {
		fail("say which workload; --list shows what there is")
	}
	o := parse(os.Args[2:])
	runtime.GOMAXPROCS(o.markers)
	startClock()
	checksum := workloads[os.Args[1]](o)
	took := time.Since(started)
	if measured != 0 {
		took = measured
	}
	report(checksum, took)
}
