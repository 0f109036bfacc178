package run

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxScript bounds what is read of a script, far above every limit for one.
const maxScript = 16 << 20

// scriptName is the name of the script in its run folder.
const scriptName = "command"

// makeFolder makes a run folder below dir. Nothing is decided by what is there,
// so nothing is synced: after a crash Sweep removes it.
func makeFolder(dir string) (folder string, err error) {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails on the supported systems
	folder = filepath.Join(dir, hex.EncodeToString(b[:]))
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", fmt.Errorf("cannot make the run folder: %w", err)
	}
	return folder, nil
}

// placeScript puts the spooled script into the run folder.
func placeScript(folder, script string) error {
	text, err := readScript(script)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, scriptName), text, 0o700); err != nil {
		return fmt.Errorf("cannot write the script: %w", err)
	}
	return nil
}

// readScript reads the spooled script. One without any text becomes the shell's
// own empty command, because the shell is told to refuse a script that it
// reads as nothing (see shellLine).
func readScript(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the script: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the script: %w", err)
	case len(b) > maxScript:
		return nil, fmt.Errorf("the script is larger than %d bytes", maxScript)
	case len(bytes.Trim(b, "\n")) == 0:
		return []byte(":\n"), nil
	}
	return b, nil
}

// isFolder reports whether name is that of a run folder.
func isFolder(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == 8 && strings.ToLower(name) == name
}

// shellArgs is the argument list of a bash that runs the script.
//
// The script stays a file, since an argument cannot hold 1 MiB, and stdin is
// the script's own. As an operand the file would be $0 and the name in every
// message; evaluated under -c it is qvm-remote in both, with the script's own
// line numbers, its first line is a comment whatever interpreter it names, and
// no descriptor is left open. $_ is the last argument of test, so no variable
// is left either. The substitution takes the last newlines; one is put back.
func shellArgs(script string) []string {
	return []string{"bash", "--noprofile", "--norc", "-c", shellLine(script), "qvm-remote"}
}

func shellLine(script string) string {
	return `test -n "$(<` + quote(script) + `)"||{ echo "$0: cannot read the script">&2;exit 125; };eval "$_"$'\n'`
}

// quote makes one word of s in shell source.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// findBash looks for bash in the absolute folders of a PATH.
func findBash(path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		name := filepath.Join(dir, "bash")
		if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("there is no bash in PATH=%q: %w", path, fs.ErrNotExist)
}
