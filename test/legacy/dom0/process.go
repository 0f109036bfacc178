package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"qvmremote/test/legacy"
)

const (
	maxScript = 1 << 20  // P-14
	maxOutput = 10 << 20 // P-14
	execLimit = 300 * time.Second
)

// process is one command: with the look that found it twelve calls of qvm-run,
// one after the other (D7).
func (d *daemon) process(vm, id string) {
	legacy.At("listed")
	pending, running := d.at("queue/pending", id), d.at("queue/running", id)
	auth := d.at("queue/pending", id+".auth")
	// D6: body and token are read apart. Whether the call worked is not asked,
	// so a qube that is gone has an empty command (3-3).
	body, _ := d.call(vm, "cat "+pending, nil, ioLimit)
	if why := invalid(body); why != "" {
		d.log("REJECT", fmt.Sprintf("vm=%s id=%s reason=%s", vm, id, why))
		d.fire(vm, "rm -f "+pending) // 3-3: no answer; .auth and .cmd stay
		return
	}
	if !d.authentic(vm, id, auth, pending) {
		return
	}
	d.fire(vm, "rm -f "+auth)
	d.fire(vm, "mv "+pending+" "+running) // 3-5: a failure is not noticed
	preview := firstLine(body, 200)
	d.log("EXEC", fmt.Sprintf("vm=%s id=%s cmd=%s", vm, id, preview))
	began := time.Now()
	out, errs, code := []byte("[dry-run] "+preview+"\n"), []byte(nil), 0 // 3-13
	if !d.dryRun {
		out, errs, code = d.execute(id, body)
	}
	took := time.Since(began).Milliseconds()
	legacy.At("ran")
	d.deliver(vm, id, began, took, out, errs, code)
	d.fire(vm, "rm -f "+running)
	stamp := time.Now().Format("2006-01-02T15:04:05")
	line := fmt.Sprintf("[%s] id=%s exit=%d duration=%dms cmd=%s\n", stamp, id, code, took, preview)
	// 3-10: all commands share the scratch file.
	_, _ = d.call(vm, "cat > "+d.at("audit.log.tmp"), strings.NewReader(line), ioLimit)
	d.fire(vm, "cat "+d.at("audit.log.tmp")+" >> "+d.at("audit.log"))
	category := "DONE"
	if code != 0 {
		category = "DONE-FAIL"
	}
	d.log(category, fmt.Sprintf("vm=%s id=%s exit=%d duration=%dms", vm, id, code, took))
}

// invalid is 3-3.
func invalid(body string) string {
	switch {
	case strings.TrimSpace(body) == "":
		return "empty-command"
	case len(body) > maxScript:
		return "too-large"
	}
	for i := range len(body) {
		if c := body[i]; c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return "binary"
		}
	}
	return ""
}

// authentic is 3-1: where no qube at all has a key, every command passes (D3).
func (d *daemon) authentic(vm, id, auth, pending string) bool {
	key, err := os.ReadFile(d.keyFile(vm))
	if err != nil {
		any, _ := filepath.Glob(d.path("etc/qubes/remote.d", "*.key"))
		if len(any) == 0 {
			return true
		}
		d.log("AUTH-DENY", fmt.Sprintf("vm=%s id=%s", vm, id))
		d.fire(vm, "rm -f "+pending) // 3-3: .auth stays
		return false
	}
	text, _ := d.call(vm, "cat "+auth, nil, ioLimit)
	m := hmac.New(sha256.New, []byte(strings.TrimSpace(string(key))))
	m.Write([]byte(id)) // D1, 3-2; D2: nor is it kept which ids were used
	if !hmac.Equal([]byte(strings.TrimSpace(text)), []byte(hex.EncodeToString(m.Sum(nil)))) {
		d.log("AUTH-FAIL", fmt.Sprintf("vm=%s id=%s", vm, id))
		d.fire(vm, "rm -f "+pending+" "+auth) // 2-9: also where the token was about to come
		return false
	}
	d.log("AUTH-OK", fmt.Sprintf("vm=%s id=%s", vm, id))
	return true
}

// execute is 3-4 and 3-8: a file of its own, the daemon's environment and
// folder (D13), and at the limit only bash is ended (D8).
func (d *daemon) execute(id, body string) (out, errs []byte, code int) {
	file := d.path("var/run/qvm-remote", id+".sh")
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		return nil, []byte("write-failed\n"), 1
	}
	defer os.Remove(file)
	ctx, stop := context.WithTimeout(context.Background(), execLimit)
	defer stop()
	cmd := exec.CommandContext(ctx, "bash", file)
	cmd.WaitDelay = time.Second
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if ctx.Err() != nil { // 3-8: and what it printed is lost
		return nil, []byte("qvm-remote-dom0: command timed out after 300s\n"), 124
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() < 0:
		status, _ := exit.Sys().(syscall.WaitStatus)
		code = -int(status.Signal()) // P-15: as Python has it
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		code = 1
	}
	return cut(o.Bytes()), cut(e.Bytes()), code
}

// cut is 3-7: after all of it was read.
func cut(b []byte) []byte {
	if len(b) <= maxOutput {
		return b
	}
	return append(b[:maxOutput:maxOutput], fmt.Sprintf("\n[truncated at %d bytes]\n", maxOutput)...)
}

// deliver is P-8, D12: four calls, each writing in place, .exit before .meta.
func (d *daemon) deliver(vm, id string, began time.Time, took int64, out, errs []byte, code int) {
	put := func(ending string, content io.Reader) {
		_, _ = d.call(vm, "cat > "+d.at("queue/results", id+ending), content, ioLimit)
	}
	put(".out", bytes.NewReader(out))
	put(".err", bytes.NewReader(errs))
	put(".exit", io.MultiReader(stopped("exit-open"), strings.NewReader(fmt.Sprint(code))))
	legacy.At("exit")
	put(".meta", strings.NewReader(fmt.Sprintf("id=%s\nstarted=%s\nduration_ms=%d\nexit_code=%d\n",
		id, began.Format("2006-01-02T15:04:05"), took, code)))
}

// stopped is a reader of nothing that stops at a point: the call has begun by
// then, and what it writes to is empty.
type stopped string

func (s stopped) Read([]byte) (int, error) {
	legacy.At(string(s))
	return 0, io.EOF
}

func firstLine(text string, most int) string {
	text = strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", " ")
	return text[:min(len(text), most)]
}
