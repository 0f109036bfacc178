package backup

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/queue"
)

const entryX = "history/2026-01-01/x/"

func good() []forgedMember {
	return []forgedMember{{name: entryX + "command", text: "echo x\n"}, {name: entryX + "exit", text: "0\n"}}
}

// with returns the good members with one changed.
func with(i int, change func(*forgedMember)) forged {
	m := good()
	change(&m[i])
	return forged{members: m}
}

func header(change func(*tar.Header)) forged {
	return with(1, func(m *forgedMember) { m.change = change })
}

func kind(flag byte, link string) forged {
	return header(func(h *tar.Header) { h.Typeflag, h.Linkname, h.Size = flag, link, 0 })
}

func name(s string) forged {
	return forged{members: append(good(), forgedMember{name: s, text: "x"})}
}

// headerName has another name in the tar file than in the manifest.
func headerName(s string) forged {
	return header(func(h *tar.Header) { h.Name = s })
}

var refused = map[string]struct {
	f    forged
	says string
}{
	"above":                 {name("history/../../evil"), `"history/../../evil" leads out of the folder`},
	"above, first":          {name("../evil"), `"../evil" leads out of the folder`},
	"above, in the tar":     {headerName("../../evil"), `"../../evil" leads out of the folder`},
	"absolute":              {name("/etc/evil"), `"/etc/evil" is an absolute path`},
	"absolute, in tar":      {headerName("/etc/evil"), `"/etc/evil" is an absolute path`},
	"dot":                   {name("history/./2026-01-01/x/out"), "is no name that belongs into a backup"},
	"key in the clear":      {name("auth.key"), `"auth.key" is no name`},
	"a person's file":       {name(".bashrc"), `".bashrc" is no name`},
	"queue":                 {name("queue/pending/x.auth"), "is no name"},
	"other file of entry":   {name(entryX + "script"), "is no name"},
	"day":                   {name("history/2026-02-31/x/exit"), "is no name"},
	"id":                    {name("history/2026-02-01/-x/exit"), "is no name"},
	"id with dots":          {name("history/2026-02-01/a..b/exit"), "is no name"},
	"escapes in a name":     {name("\x1b[31mred"), `"\x1b[31mred" is no name`},
	"symlink":               {kind(tar.TypeSymlink, "/etc/passwd"), `exit" is a symlink`},
	"hard link":             {kind(tar.TypeLink, entryX+"command"), `exit" is a hard link`},
	"character device":      {kind(tar.TypeChar, ""), `exit" is a device`},
	"block device":          {kind(tar.TypeBlock, ""), `exit" is a device`},
	"fifo":                  {kind(tar.TypeFifo, ""), `exit" is a FIFO`},
	"folder":                {kind(tar.TypeDir, ""), `exit" is a folder`},
	"twice":                 {forged{members: append(good(), good()[1])}, `exit" is there twice`},
	"out of order":          {forged{members: []forgedMember{good()[1], good()[0]}}, "is out of order"},
	"mode":                  {header(func(h *tar.Header) { h.Mode = 0o4755 }), "a header that qvm-remote does not write"},
	"owner":                 {header(func(h *tar.Header) { h.Uid = 1000 }), "a header that qvm-remote does not write"},
	"PAX":                   {header(func(h *tar.Header) { h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"a.b": "c"} }), "a header that qvm-remote does not write"},
	"GNU":                   {header(func(h *tar.Header) { h.Format = tar.FormatGNU }), "a header that qvm-remote does not write"},
	"missing":               {forged{lines: append((forged{members: good()}).linesOf(), lineOf(entryX+"out", "")), members: good()}, `out" is missing`},
	"not in the manifest":   {forged{lines: []string{}, members: good()}, "is not in the manifest"},
	"altered":               {forged{lines: (forged{members: good()}).linesOf(), members: []forgedMember{{name: entryX + "command", text: "echo y\n"}, good()[1]}}, "is not what was saved"},
	"larger than it says":   {forged{lines: []string{lineOf(entryX+"command", "")}, members: good()[:1]}, `command" has 7 bytes, and 0 in the manifest`},
	"truncated, packed":     {forged{members: good(), whole: func(b []byte) []byte { return b[:len(b)-20] }}, "it ends too early"},
	"truncated, a byte":     {forged{members: good(), whole: func(b []byte) []byte { return b[:len(b)-1] }}, "it ends too early"},
	"checksum":              {forged{members: good(), whole: func(b []byte) []byte { b[len(b)-6] ^= 1; return b }}, "damaged"},
	"something after it":    {forged{members: good(), whole: func(b []byte) []byte { return append(b, "more"...) }}, "something follows its end"},
	"another one behind":    {forged{members: good(), whole: func(b []byte) []byte { return append(b, b...) }}, "something follows its end"},
	"plain tar":             {forged{members: good(), after: func(b *bytes.Buffer) []byte { return b.Bytes() }}, "is not packed with gzip"},
	"text":                  {forged{whole: func([]byte) []byte { return []byte("hello") }}, "is not packed with gzip"},
	"nothing":               {forged{whole: func([]byte) []byte { return nil }}, "is not packed with gzip"},
	"no command":            {forged{members: good()[1:]}, "it has no command"},
	"another's command":     {forged{members: []forgedMember{good()[0], {name: entryX + "request", text: requestFor("x", "echo other\n")}}}, "is not the command of its request"},
	"another's request":     {forged{members: []forgedMember{good()[0], {name: entryX + "request", text: requestFor("y", "echo x\n")}}}, "belongs to another request"},
	"no request":            {forged{members: []forgedMember{good()[0], {name: entryX + "request", text: "qvm-remote/2\n"}}}, "is not readable"},
	"input of none":         {forged{members: []forgedMember{good()[0], {name: entryX + "request", text: requestFor("x", "echo x\n")}, {name: entryX + "stdin", text: "in"}}}, "is not the input of its request"},
	"large exit":            {with(1, func(m *forgedMember) { m.text = strings.Repeat("1", 17) }), `exit" has 17 bytes, at most 16`},
	"10 GB in the manifest": {with(0, func(m *forgedMember) { m.size = 10 << 30 }), "command\" has 10737418240 bytes, at most 1048576"},
	"10 GB in the tar":      {header(func(h *tar.Header) { h.Format, h.Size = tar.FormatGNU, 10<<30 }), `exit" has 10737418240 bytes, and 2 in the manifest`},
	"10 GB behind":          {forged{members: good(), after: zeros}, "longer than its manifest says"},
	"10 GB of manifest":     {forged{after: func(*bytes.Buffer) []byte { return hugeManifest() }}, "its manifest has 10737418240 bytes"},
	"too many":              {forged{members: many(21)}, "more than 20 members"},
	"too much":              {forged{members: large(4)}, "more than 3145728 bytes together"},
	"another version":       {forged{after: func(*bytes.Buffer) []byte { return manifestOnly("qvm-remote-backup 2\n") }}, "this is no backup"},
	"manifest without end":  {forged{after: func(*bytes.Buffer) []byte { return manifestOnly(forgedFirst) }}, "its manifest has no end"},
	"manifest with a CR": {forged{after: func(*bytes.Buffer) []byte {
		return manifestOnly(strings.Replace(forgedFirst, "work", "work\r", 1) + "end 0\n")
	}}, "names no qube"},
	"manifest's number": {forged{lines: []string{strings.Replace(lineOf(entryX+"command", "echo x\n"), " 7 ", " +7 ", 1)}, members: good()[:1]}, "is spelled in another way"},
}

func lineOf(name, text string) string {
	return (forged{members: []forgedMember{{name: name, text: text}}}).linesOf()[0]
}

func (f forged) linesOf() []string {
	all := strings.Split(f.manifest(), "\n")
	return all[4 : len(all)-2]
}

func requestFor(id, command string) string {
	r := queue.Request{Kind: queue.KindScript, ID: id, Qube: "work", Issued: 1, Expires: 2, Timeout: 1, Body: queue.SumOf([]byte(command))}
	return string(r.Sign(queue.GenerateKey().RequestKey()))
}

func many(n int) (list []forgedMember) {
	for i := range n {
		list = append(list, forgedMember{name: fmt.Sprintf("history/2026-01-01/%03d/command", i), text: "x"})
	}
	return list
}

func large(n int) (list []forgedMember) {
	for _, m := range many(n) {
		m.text = strings.Repeat("x", 1<<20)
		list = append(list, m)
	}
	return list
}

// zeros packs a tar file and 10 GB of zeros behind it into some megabytes.
func zeros(plain *bytes.Buffer) []byte {
	var z bytes.Buffer
	z.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255})
	w, _ := flate.NewWriter(&z, flate.BestSpeed)
	_, _ = w.Write(plain.Bytes())
	_ = w.Flush()
	for range 640 {
		z.Write(chunk())
	}
	return z.Bytes()
}

// chunk is 16 MiB of zeros. It refers to nothing before it, so that it can be
// repeated.
var chunk = sync.OnceValue(func() []byte {
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, flate.BestSpeed)
	_, _ = w.Write(make([]byte, 16<<20))
	_ = w.Flush()
	return z.Bytes()
})

func hugeManifest() []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: manifestName, Size: 10 << 30, Mode: 0o600, Format: tar.FormatGNU})
	return zeros(&b)
}

func manifestOnly(text string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: manifestName, Size: int64(len(text)), Mode: 0o600,
		ModTime: time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC), Format: tar.FormatUSTAR})
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return packed(b.Bytes())
}

// TestWhatIsNoBackupChangesNothing: each refusal has its sentence, and neither
// the qube's data nor anything else in its home is another than before.
func TestWhatIsNoBackupChangesNothing(t *testing.T) {
	t.Parallel()
	for what, c := range refused {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			k := newKeeper(t, home)
			k.lived(t)
			k.limits.members, k.limits.total = 20, 3<<20
			path := filepath.Join(home, "given.tar.gz")
			must(t, os.WriteFile(path, c.f.bytes(t), 0o600))
			before := state(t, home)
			_, err := k.Restore(t.Context(), path, Choice{Log: true, Settings: true})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v, want %q", err, c.says)
			}
			unchanged(t, before, home)
		})
	}
}

// TestZerosTakeNoMemory: 10 GB are refused without being unpacked.
func TestZerosTakeNoMemory(t *testing.T) {
	home := t.TempDir()
	k := newKeeper(t, home)
	path := filepath.Join(home, "given.tar.gz")
	must(t, os.WriteFile(path, forged{members: good(), after: zeros}.bytes(t), 0o600))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := k.Check(t.Context(), path); err == nil {
		t.Error("it was taken")
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

// TestAnArchiveThatIsNoFile: what stands in its place is not followed.
func TestAnArchiveThatIsNoFile(t *testing.T) {
	t.Parallel()
	home, k, made := saved(t)
	at := func(name string) string { return filepath.Join(home, name) }
	must(t, os.Symlink(made.Path, at("link")))
	must(t, unix.Mkfifo(at("fifo"), 0o600))
	must(t, os.Mkdir(at("folder"), 0o700))
	before := state(t, home)
	for _, name := range []string{"link", "fifo", "folder", "none"} {
		if _, err := k.Restore(t.Context(), at(name), Choice{}); err == nil {
			t.Errorf("%s was restored", name)
		}
	}
	unchanged(t, before, home)
}

// TestACutArchive: wherever it was cut.
func TestACutArchive(t *testing.T) {
	t.Parallel()
	_, _, made := saved(t)
	whole, err := os.ReadFile(made.Path)
	must(t, err)
	for n := range whole {
		a := &archive{f: bytes.NewReader(whole[:n]), size: int64(n), most: bounds}
		if _, err := a.begin(); err != nil {
			continue
		}
		if _, err := check(t.Context(), a.each, bounds); err == nil {
			t.Fatalf("taken with %d of %d bytes", n, len(whole))
		}
	}
}

// TestEveryByteCounts: no byte of the unpacked archive can be another one.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	plain := forged{members: good(), after: func(b *bytes.Buffer) []byte { return b.Bytes() }}.bytes(t)
	for i := range plain {
		if plain[i] == 0 {
			continue // padding, or what a header's checksum covers
		}
		b := bytes.Clone(plain)
		b[i] ^= 0x10
		b = packed(b)
		a := &archive{f: bytes.NewReader(b), size: int64(len(b)), most: bounds}
		if _, err := a.begin(); err != nil {
			continue
		}
		if _, err := check(t.Context(), a.each, bounds); err == nil && !harmless(i) {
			t.Errorf("taken with byte %d altered", i)
		}
	}
}

// harmless are bytes that say nothing of the files: what a header's checksum may
// be filled up with, and who made the archive.
func harmless(i int) bool {
	about := i >= 512 && i < 512+len(forgedFirst)
	checksum := i%512 == 148 || i%512 == 155
	return about || checksum
}
