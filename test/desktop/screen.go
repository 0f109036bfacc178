package desktop

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"qvmremote/test/child"
)

const startLimit = 20 * time.Second

// screen is a running X server without a screen that one can see.
type screen struct {
	number    int
	cookie    []byte
	authority string // the file that has it

	server *child.Child
}

// openScreen starts the server, on a display that is free; only who knows the
// cookie may connect.
func openScreen(dir string, width, height int) (*screen, error) {
	path, err := exec.LookPath("Xvfb")
	if err != nil {
		return nil, fmt.Errorf("%w; `make setup-test` installs it", err)
	}
	s := &screen{cookie: make([]byte, 16), authority: filepath.Join(dir, "authority")}
	if _, err := rand.Read(s.cookie); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.authority, authority(s.cookie), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "Xvfb.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command(path, "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", width, height),
		"-nolisten", "tcp", "-auth", s.authority, "-noreset", "-dpi", "96")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = dir, log, log, []*os.File{w}
	s.server, err = child.Start(cmd)
	w.Close()
	if err == nil {
		s.number, err = displayNumber(r)
	}
	if err != nil {
		s.close()
		said, _ := os.ReadFile(log.Name()) // it is more than the error, if it is anything
		return nil, fmt.Errorf("start Xvfb: %w\n%s", err, said)
	}
	return s, nil
}

// displayNumber waits for the number that the server prints when it is ready.
func displayNumber(r *os.File) (int, error) {
	if err := r.SetReadDeadline(time.Now().Add(startLimit)); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("no display within %v: %w", startLimit, err)
	}
	return strconv.Atoi(strings.TrimSpace(line))
}

// authority is an .Xauthority with one cookie, for all displays.
func authority(cookie []byte) []byte {
	const wild = 0xffff
	b := binary.BigEndian.AppendUint16(nil, wild)
	for _, field := range []string{"", "", "MIT-MAGIC-COOKIE-1", string(cookie)} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
		b = append(b, field...)
	}
	return b
}

func (s *screen) close() {
	if s.server != nil {
		s.server.End(endLimit)
	}
}
