package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

var folders = []string{"pending", "running", "results"}

func (c *client) files(folder string) []string {
	names, _ := filepath.Glob(c.path("queue", folder, "*")) // dot-files are not seen
	return names
}

// sweep removes whatever is an hour old, other clients' work too (2-19).
func (c *client) sweep() {
	for _, folder := range folders {
		for _, path := range c.files(folder) {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
				_ = os.Remove(path)
			}
		}
	}
}

// orphans are tokens without a command.
func (c *client) orphans() (n int) {
	for _, path := range c.files("pending") {
		if body, ok := strings.CutSuffix(path, ".auth"); ok {
			if _, err := os.Lstat(body); err != nil {
				n++
			}
		}
	}
	return n
}

// counts are those of files in results, four a command (2-16).
func (c *client) counts() (pending, running, results, orphans int) {
	for _, path := range c.files("pending") {
		if !strings.HasSuffix(path, ".auth") && !strings.HasSuffix(path, ".cmd") {
			pending++
		}
	}
	return pending, len(c.files("running")), len(c.files("results")), c.orphans()
}

// status is 2-15. Anything that runs counts as stale.
func (c *client) status() int {
	host, _ := os.Hostname()
	fmt.Printf("VM: %s\nData dir: %s\n", host, c.root)
	key, err := os.ReadFile(c.path("auth.key"))
	if err == nil {
		fmt.Printf("Auth key:  %.16s... (configured)\n", key) // D15: 64 bits of it
	} else {
		fmt.Println("Auth key:  NOT CONFIGURED")
	}
	p, r, d, o := c.counts()
	state := "clean"
	if p+r+d+o > 0 {
		state = "STALE ENTRIES"
	}
	fmt.Printf("Queue: %s\n  pending: %d\n  running: %d\n  results: %d\n  orphan .auth: %d\n", state, p, r, d, o)
	if !c.ping(5 * time.Second) {
		fmt.Println("Daemon: NOT responding")
		return 1
	}
	fmt.Println("Daemon: responding")
	if err != nil || p+r+d+o > 0 {
		return 1
	}
	return 0
}

// queue is 2-16 to 2-18.
func (c *client) queue(args []string) int {
	verb := "status"
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "status":
		p, r, d, o := c.counts()
		fmt.Printf("pending %d\nrunning %d\nresults %d\norphan .auth %d\ntotal %d\n", p, r, d, o, p+r+d+o)
	case "clean": // 2-17: all of it, without asking
		n := 0
		for _, folder := range folders {
			for _, path := range c.files(folder) {
				if os.Remove(path) == nil {
					n++
				}
			}
		}
		c.audit(fmt.Sprintf("QUEUE-CLEAN removed=%d", n))
		fmt.Printf("Cleaned %d file(s) from queue.\n", n)
	case "debug":
		for _, folder := range folders {
			fmt.Println(folder + "/")
			for _, path := range c.files(folder) {
				if b, err := os.ReadFile(path); err == nil && len(b) < 500 { // 2-18: tokens too
					fmt.Printf("  %s %q\n", filepath.Base(path), b)
				}
			}
		}
	default:
		return fail("unknown queue command: " + verb)
	}
	return 0
}

// lines is [N] or -n N; a bad number is ignored (2-20).
func lines(args []string, otherwise int) int {
	if len(args) > 1 && args[0] == "-n" {
		args = args[1:]
	}
	if len(args) > 0 {
		if n, err := strconv.Atoi(args[0]); err == nil {
			return n
		}
	}
	return otherwise
}

// log is 2-20: raw, and all of it for 0.
func (c *client) log(args []string) int {
	b, err := os.ReadFile(c.path("audit.log"))
	if err != nil || len(b) == 0 {
		fmt.Println("No audit log entries yet.")
		return 0
	}
	all := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if n := lines(args, 20); n > 0 {
		all = all[max(len(all)-n, 0):]
	}
	fmt.Println(strings.Join(all, "\n"))
	return 0
}

// history is 2-21.
func (c *client) history(args []string) int {
	entries, _ := filepath.Glob(c.path("history", "*", "*"))
	if len(entries) == 0 {
		fmt.Println("No command history yet.")
		return 0
	}
	sort.Sort(sort.Reverse(sort.StringSlice(entries)))
	fmt.Printf("%-30s %-6s %-10s %s\n", "ID", "EXIT", "DURATION", "COMMAND")
	for _, folder := range entries[:min(len(entries), max(lines(args, 10), 0))] {
		read := func(name string) string {
			b, _ := os.ReadFile(filepath.Join(folder, name))
			return strings.TrimSpace(string(b))
		}
		duration := ""
		for _, l := range strings.Split(read("meta"), "\n") {
			if ms, ok := strings.CutPrefix(l, "duration_ms="); ok {
				duration = ms + "ms"
			}
		}
		fmt.Printf("%-30s %-6s %-10s %.50s\n", filepath.Base(folder), read("exit"), duration, read("command"))
	}
	return 0
}
