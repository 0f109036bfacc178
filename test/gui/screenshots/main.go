// Command screenshots runs dom0's desktop program on a screen of its own, on
// simulated dom0s, and takes a picture of each page, dialog and state: light,
// dark, with high contrast, and 360 pixels wide; and the same once more with
// newer libraries, where that can be had. Usage: screenshots FOLDER [NAME…], with
// the programs in bin/; names, such as dark-activity or gtk-4.18/dark-activity, are
// the pictures that are wanted, all where there are none. A picture that cannot be
// taken is named, the others are taken, and the exit code is 1.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// limit bounds the whole.
const limit = time.Hour

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: screenshots FOLDER [NAME…]")
		os.Exit(2)
	}
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	s, err := newStudio(ctx, os.Args[1], os.Args[2:])
	if err == nil {
		defer s.close()
		err = s.shootAll(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		s.close()
		os.Exit(1)
	}
}

// studio is where pictures are taken.
type studio struct {
	bin    string
	sets   []set
	wanted []string // names; none: all
	house  *home    // the one with a past, once it is there
	guest  *home    // the one in whose qube the program runs now
	undo   []func()

	mu     sync.Mutex
	failed int
	taken  int
}

// set is one system's libraries, and where its pictures go.
type set struct{ root, folder, prefix string }

func newStudio(ctx context.Context, folder string, wanted []string) (*studio, error) {
	s := &studio{wanted: wanted}
	var err error
	if s.bin, err = filepath.Abs("bin"); err != nil {
		return s, err
	}
	s.sets = append(s.sets, set{folder: folder})
	tree, err := openNewer(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "screenshots: those of GTK 4.18 are left out: %v\n", err)
	} else {
		s.later(func() { _ = tree.Close() })
		s.sets = append(s.sets, set{tree.Path, filepath.Join(folder, newerFolder), newerFolder + "/"})
	}
	for _, set := range s.sets {
		if err := os.MkdirAll(set.folder, 0o755); err != nil {
			return s, err
		}
	}
	return s, nil
}

// later has close do something, before what was to be done already.
func (s *studio) later(what func()) { s.undo = append(s.undo, what) }

func (s *studio) close() {
	for i := len(s.undo) - 1; i >= 0; i-- {
		s.undo[i]()
	}
	s.undo = nil
}

func (s *studio) shootAll(ctx context.Context) error {
	for _, p := range places {
		shots := s.shots(p)
		if len(shots) == 0 {
			continue
		}
		address, err := p.open(ctx, s)
		if err != nil {
			s.failed += len(shots)
			fmt.Fprintf(os.Stderr, "%d pictures of the place %q: %v\n", len(shots), p.name, err)
			continue
		}
		s.shoot(address, shots, p.alone)
	}
	switch {
	case s.failed > 0:
		return fmt.Errorf("%d pictures of %d could not be taken", s.failed, s.failed+s.taken)
	case s.taken == 0:
		return fmt.Errorf("there are no such pictures")
	}
	return nil
}

// shot is one picture to be taken.
type shot struct {
	set
	look
	scene
}

func (s shot) file() string { return s.look.name + "-" + s.scene.name }
func (s shot) name() string { return s.prefix + s.file() }
func (s shot) path() string { return filepath.Join(s.folder, s.file()+".png") }

// shots are the pictures of a place that are wanted.
func (s *studio) shots(p place) (all []shot) {
	for _, set := range s.sets {
		for _, l := range looks {
			for _, sc := range p.scenes {
				one := shot{set, l, sc}
				if l.shows(sc) && (len(s.wanted) == 0 || slices.Contains(s.wanted, one.name())) {
					all = append(all, one)
				}
			}
		}
	}
	return all
}

// workers is how many pictures are taken at a time: most of a picture's time is
// waiting until nothing moves.
const workers = 3

// shoot takes pictures, one after the other where they would change what the
// others show.
func (s *studio) shoot(address string, shots []shot, alone bool) {
	n := workers
	if alone {
		n = 1
	}
	todo := make(chan shot)
	var done sync.WaitGroup
	for range n {
		done.Add(1)
		go func() {
			defer done.Done()
			for one := range todo {
				s.tell(one, s.take(address, one))
			}
		}()
	}
	for _, one := range shots {
		todo <- one
	}
	close(todo)
	done.Wait()
}

// tell says how it went.
func (s *studio) tell(one shot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := one.path() + ".failed"
	if err != nil {
		s.failed++
		first, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(os.Stderr, "%s: %s (more in %s)\n", one.path(), first, why)
		if err := os.WriteFile(why, []byte(err.Error()+"\n"), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	_ = os.Remove(why) // of an earlier run
	s.taken++
	fmt.Println(one.path())
}
