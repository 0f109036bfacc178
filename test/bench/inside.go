package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
)

// inside is the first argument that makes this program work in a qube, so that
// what it takes to get into the simulated qube is not measured.
const inside = "inside-qube"

// report is what the inner mode prints.
type report struct {
	Rounds   []time.Duration // of each program start
	Finished int             // requests that ended with exit 0
	Seconds  float64         // from the first submission to the last answer
	IDs      []string
	Timed    []timed
}

// timed is one request, by the qube's clock.
type timed struct {
	ID                  string
	Submitted, Answered time.Time // from when dom0 could find it; refused or not
}

func insideQube(args []string) int {
	var r report
	var err error
	switch n, _ := strconv.Atoi(args[1]); args[0] {
	case "exec":
		r.Rounds, err = rounds(n, args[2:])
	case "submit":
		r, err = submit(n, args[2])
	case "timed":
		r.Timed, err = timeEach(n, args[2])
	default:
		err = fmt.Errorf("unknown mode %q", args[0])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return exitCode(json.NewEncoder(os.Stdout).Encode(r))
}

func exitCode(err error) int {
	if err != nil {
		return 1
	}
	return 0
}

// rounds times n starts of a program to its exit.
func rounds(n int, argv []string) ([]time.Duration, error) {
	var list []time.Duration
	for range n {
		began := time.Now()
		if err := exec.Command(argv[0], argv[1:]...).Run(); err != nil {
			return nil, fmt.Errorf("%v: %w", argv, err)
		}
		list = append(list, time.Since(began))
	}
	return list, nil
}

// timeEach submits n requests, each when the one before it is answered and a bit
// later than that, so that they come at any time between two looks.
func timeEach(n int, script string) (list []timed, err error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	c := client.New(filepath.Join(home, queue.FolderName))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for i := range n {
		time.Sleep(time.Duration(i*37%200) * time.Millisecond)
		t, err := c.Submit(ctx, client.Request{Script: []byte(script), Timeout: queue.DefaultTimeout * time.Second})
		submitted := time.Now()
		if err != nil {
			return list, err
		}
		if _, err := c.Wait(ctx, t, client.Events{}); err != nil {
			return list, err
		}
		list = append(list, timed{t.ID, submitted, time.Now()})
	}
	return list, nil
}

// submit publishes n requests at once and waits for all.
func submit(n int, script string) (report, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return report{}, err
	}
	c := client.New(filepath.Join(home, queue.FolderName))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var r report
	var wg sync.WaitGroup
	began := time.Now()
	for range n {
		t, err := c.Submit(ctx, client.Request{Script: []byte(script), Timeout: queue.DefaultTimeout * time.Second})
		if err != nil {
			return r, err
		}
		r.IDs = append(r.IDs, t.ID)
		wg.Add(1)
		go func() {
			defer wg.Done()
			o, err := c.Wait(ctx, t, client.Events{})
			mu.Lock()
			defer mu.Unlock()
			if err == nil && o.Exit == 0 {
				r.Finished++
			} else {
				fmt.Fprintln(os.Stderr, "bench:", t.ID, o, err)
			}
		}()
	}
	wg.Wait()
	r.Seconds = time.Since(began).Seconds()
	return r, nil
}
