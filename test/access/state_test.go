package access

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qvmremote/daemon/admin"
)

// everything is what a call could change: each file of dom0's and in the homes
// of the qubes, what systemd was told to do, and, while nothing looks at qubes
// by itself, how often something was run in one, or one was started or shut down. Left out are tools, what the
// simulator writes, and what follows from records after a while: the signature,
// the log for people, the executor's status.
func (m *machine) everything() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	homes, err := filepath.Glob(filepath.Join(m.Dir, "qubes", "*", "home"))
	must(m.t, err)
	for _, top := range append(homes, m.Dom0()) {
		must(m.t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == m.Dom0Bin() {
				return noted(err, fs.SkipDir)
			}
			switch d.Name() {
			case "calls.log", "status", "head", "tree", "reserve", "qvm-remote.log":
				return nil
			}
			if strings.HasPrefix(d.Name(), ".tmp-") {
				return nil // what replaces one of those in a moment
			}
			all[path], err = content(path, d)
			return noted(err, nil)
		}))
	}
	for i, call := range m.systemd.Calls() {
		if verb, _, _ := strings.Cut(call, " "); strings.HasPrefix(verb, "Start") || strings.HasPrefix(verb, "Stop") ||
			strings.HasPrefix(verb, "Restart") || strings.HasPrefix(verb, "Enable") || strings.HasPrefix(verb, "Disable") {
			all[fmt.Sprint("systemd ", i)] = call
		}
	}
	for _, tool := range []string{"qvm-start", "qvm-shutdown"} {
		all[tool] = fmt.Sprint(m.Calls(tool))
	}
	if m.systemd.Active(admin.Service) != "active" {
		all["qvm-run"] = fmt.Sprint(m.Calls("qvm-run"))
	}
	return all
}

// noted is err, or otherwise where nothing is wrong or the file is gone.
func noted(err, otherwise error) error {
	if err == nil || os.IsNotExist(err) {
		return otherwise
	}
	return err
}

func content(path string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	text := info.Mode().String()
	if info.Mode().IsRegular() {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf(" %d %x", len(b), sha256.Sum256(b))
	}
	return text, nil
}

// unchanged fails the test if anything differs from what was.
func (m *machine) unchanged(was map[string]string, after string) {
	m.t.Helper()
	is := m.everything()
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was[name] != is[name] {
			m.t.Errorf("%s: %s was %q and is %q", after, name, was[name], is[name])
		}
	}
}
