package client

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/queue"
)

func TestSpoolTakesInputUpToItsLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "input")
	in := strings.Repeat("x", 100)
	if _, err := spool(context.Background(), strings.NewReader(in), path, 99); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Fatalf("left %v", left)
	}
	sum, err := spool(context.Background(), strings.NewReader(in), path, 100)
	b, rerr := os.ReadFile(path)
	if err != nil || rerr != nil || !bytes.Equal(b, []byte(in)) || sum != queue.SumOf(b) {
		t.Fatalf("%v, %v, %d bytes", err, rerr, len(b))
	}
}
