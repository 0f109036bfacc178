// Package figures is what the commands that measure share: on which machine it
// was, and the document that all of them write to.
//
// It guarantees that a command replaces its own part of the document and leaves
// every other byte of it.
package figures

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"
)

// Document is where figures are written to, from the module's root.
const Document = "docs/benchmarks.md"

// Write puts text between the marks of that name in a document, at its end
// where it has none.
func Write(path, name, text string) error {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the figures of before: %w", err)
	}
	whole, err := replace(string(b), name, text)
	if err == nil {
		err = os.WriteFile(path, []byte(whole), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the figures of %s into %s: %w", name, path, err)
	}
	return nil
}

func replace(whole, name, text string) (string, error) {
	begin, end := "<!-- "+name+" writes from here -->\n", "<!-- "+name+" writes to here -->\n"
	text = begin + strings.TrimRight(text, "\n") + "\n" + end
	before, rest, found := strings.Cut(whole, begin)
	if !found {
		if whole = strings.TrimRight(whole, "\n"); whole != "" {
			whole += "\n\n"
		}
		return whole + text, nil
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("there is %q without %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + text + after, nil
}

// Machine is a sentence about this one, and today.
func Machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			if name, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, %s.", model, runtime.NumCPU(),
		strings.TrimSpace(string(kernel)), runtime.Version(), time.Now().Format("2006-01-02"))
}
