package executable

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// TestAProgramCanBeStartedAtOnce while others are started all the time.
func TestAProgramCanBeStartedAtOnce(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var others sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		others.Add(1)
		go func() {
			defer others.Done()
			for {
				select {
				case <-done:
					return
				default:
					other := exec.Command("/bin/true")
					other.ExtraFiles = slices.Repeat([]*os.File{null}, 500) // keeps it from being its own program for a while
					if err := other.Run(); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	defer others.Wait()
	defer close(done)
	path := filepath.Join(t.TempDir(), "program")
	for range 1000 {
		if err := Write(path, []byte("#!/bin/sh\n")); err != nil {
			t.Fatal(err)
		}
		if err := exec.Command(path).Run(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAProgramIsReplacedWhileItRuns: the one that runs goes on.
func TestAProgramIsReplacedWhileItRuns(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "program")
	shell, err := os.ReadFile("/bin/sh")
	if err == nil {
		err = Write(path, shell)
	}
	if err != nil {
		t.Fatal(err)
	}
	old := exec.Command(path, "-c", "read word && exit 7")
	in, err := old.StdinPipe()
	if err == nil {
		err = old.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("#!/bin/sh\nexit 8\n")); err != nil {
		t.Error(err)
	}
	if err := exec.Command(path).Run(); err == nil || err.Error() != "exit status 8" {
		t.Errorf("the new one: %v", err)
	}
	_, _ = in.Write([]byte("word\n"))
	if err := old.Wait(); err == nil || err.Error() != "exit status 7" {
		t.Errorf("the old one: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("beside the program: %v, %v", left, err)
	}
}
