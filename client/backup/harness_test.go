package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qvmremote/client"
	"qvmremote/queue"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newKeeper makes a qube with a key in a home of its own.
func newKeeper(t *testing.T, home string) *Keeper {
	t.Helper()
	k := keeperIn(home)
	must(t, os.MkdirAll(home, 0o700))
	must(t, k.Client.Prepare())
	_, err := k.Client.GenerateKey(false)
	must(t, err)
	return k
}

func keeperIn(home string) *Keeper {
	c := client.New(filepath.Join(home, queue.FolderName))
	c.Database = func(context.Context, string) (string, error) { return "work", nil }
	return &Keeper{Client: c, Dir: filepath.Join(home, "qvm-remote-backups"), Settings: filepath.Join(home, "config"),
		limits: bounds, work: 4, step: func(string) {},
		flush: func(folder) error { return nil }} // it would wait for what all others write
}

// saved makes a qube that has lived, in a home of its own, and its backup.
func saved(t *testing.T) (home string, k *Keeper, made Made) {
	t.Helper()
	home = t.TempDir()
	k = newKeeper(t, home)
	k.lived(t)
	made, err := k.Create(t.Context(), "")
	must(t, err)
	return home, k, made
}

// request puts one that ended into the history.
func (k *Keeper) request(t *testing.T, at time.Time, id, command string, more map[string]string) string {
	t.Helper()
	key, err := k.Client.Key()
	must(t, err)
	r := queue.Request{Kind: queue.KindScript, ID: id, Qube: "work", Issued: at.Unix(), Expires: at.Unix() + 300, Timeout: 300,
		Body: queue.SumOf([]byte(command))}
	if in, ok := more["stdin"]; ok {
		r.Stdin = queue.SumOf([]byte(in))
	}
	files := map[string]string{"request": string(r.Sign(key.RequestKey())), "command": command, "exit": "0\n"}
	maps.Copy(files, more)
	dir := k.Client.Layout.HistoryOf(at, id)
	must(t, os.MkdirAll(dir, 0o700))
	for name, text := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

var morning = time.Date(2026, 11, 20, 8, 0, 0, 0, time.Local)

// lived puts a few requests, a log and settings into a qube.
func (k *Keeper) lived(t *testing.T) {
	t.Helper()
	k.request(t, morning, "20261120-080000-1-0000000a", "echo one\n", map[string]string{"out": "one\n", "err": ""})
	k.request(t, morning, "20261120-080000-1-0000000a.b", "cat\n", map[string]string{"stdin": strings.Repeat("in", 500), "out": "x"})
	k.request(t, morning.Add(30*time.Hour), "20261121-140000-1-0000000c", "false\n", map[string]string{"exit": "1\n", "meta": "duration_ms=5\n"})
	must(t, os.WriteFile(k.Client.Layout.AuditLog(), []byte("[2026-11-20T08:00:00+00:00] SUBMIT id=a size=9B cmd=echo one\n[2026-11-21T14:00:00] id=c exit=1\n"), 0o600))
	must(t, os.MkdirAll(k.Settings, 0o700))
	must(t, os.WriteFile(filepath.Join(k.Settings, "client.conf"), []byte("style dark\n"), 0o600))
}

// state is every file below a folder, with its kind, mode and content.
func state(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %x", sha256.Sum256(b))
		}
		all[strings.TrimPrefix(p, dir)] = text
		return nil
	})
	must(t, err)
	return all
}

// unchanged reports whatever differs from a state before.
func unchanged(t *testing.T, before map[string]string, dir string) {
	t.Helper()
	if d := cmp.Diff(before, state(t, dir)); d != "" {
		t.Errorf("changed (-before +after):\n%s", d)
	}
}

// forged is an archive that is put together by hand.
type forged struct {
	lines   []string // of the manifest; nil = those of the members
	members []forgedMember
	after   func(*bytes.Buffer) []byte // what follows the tar file, before it is packed
	whole   func([]byte) []byte        // changes the packed archive
}

type forgedMember struct {
	name, text string
	change     func(*tar.Header)
	size       int64 // that the manifest says, if not 0
}

const forgedFirst = "qvm-remote-backup 1\nmade 2026-11-28T08:00:00Z\nqube work\nkey none\n"

func (f forged) manifest() string {
	lines := f.lines
	if lines == nil {
		for _, m := range f.members {
			size := m.size
			if size == 0 {
				size = int64(len(m.text))
			}
			lines = append(lines, fmt.Sprintf("sha256:%x %d %s", sha256.Sum256([]byte(m.text)), size, m.name))
		}
	}
	text := forgedFirst
	for _, l := range lines {
		text += l + "\n"
	}
	return text + fmt.Sprintf("end %d\n", len(lines))
}

func (f forged) bytes(t testing.TB) []byte {
	t.Helper()
	var plain bytes.Buffer
	made := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	for _, m := range append([]forgedMember{{name: manifestName, text: f.manifest()}}, f.members...) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: m.name, Size: int64(len(m.text)), Mode: 0o600, ModTime: made, Format: tar.FormatUSTAR}
		if m.change != nil {
			m.change(h)
		}
		must(t, tar.NewWriter(&plain).WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			plain.WriteString(m.text)
			plain.Write(make([]byte, -len(m.text)&511))
		}
	}
	plain.Write(make([]byte, 1024))
	if f.after != nil {
		return f.after(&plain)
	}
	b := packed(plain.Bytes())
	if f.whole != nil {
		b = f.whole(b)
	}
	return b
}

func packed(b []byte) []byte {
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.NoCompression)
	_, _ = w.Write(b)
	_ = w.Close()
	return z.Bytes()
}
