package guest

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// problem is a refusal with an exit code of its own.
type problem struct {
	code int
	text string
}

func (p problem) Error() string { return p.text }

// systemPath is where a qube looks for programs after its own bin folder.
const systemPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

func (a *agent) inQube(elem ...string) string {
	return filepath.Join(append([]string{a.World, "qubes", a.Qube}, elem...)...)
}

// environment is what a login of user has; nothing comes from dom0.
func (a *agent) environment(user string) []string {
	home := a.Home
	if user == "root" {
		home = "/root"
		if a.How == Plain {
			home = a.inQube("root")
		}
	}
	return append([]string{
		"HOME=" + home, "USER=" + user, "LOGNAME=" + user, "SHELL=/bin/bash", "LANG=C.UTF-8",
		"PATH=" + a.inQube("bin") + ":" + systemPath,
		"SHLVL=1", // the login shell that a real qube starts first
	}, a.Env...)
}

func (a *agent) homeOf(env []string) string { return strings.TrimPrefix(env[0], "HOME=") }

// program finds an executable as the qube's user would.
func (a *agent) program(name string) string {
	if name == FloodName {
		return a.inQube("lib", "qubes-sim")
	}
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range filepath.SplitList(a.inQube("bin") + ":" + systemPath) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return name
}

// resolve says which program answers a request and in which environment.
func (a *agent) resolve(req Request) (argv, env []string, err error) {
	user := req.User
	if user == "" {
		user = a.User
	}
	if user != a.User && user != "user" && user != "root" {
		return nil, nil, errNoUser
	}
	if req.Service == "" {
		argv = []string{"/bin/sh", "-c", req.Command}
	} else if argv, err = a.service(req.Service); err != nil {
		return nil, nil, err
	}
	env = a.environment(user)
	if req.Service != "" {
		_, argument, _ := strings.Cut(req.Service, "+")
		env = append(env, "QREXEC_REMOTE_DOMAIN=dom0", "QREXEC_SERVICE_FULL_NAME="+req.Service, "QREXEC_SERVICE_ARGUMENT="+argument)
	}
	return a.login(argv, env), env, nil
}

// login lets ~/.profile have its say (and print its noise) before the program,
// as the login shell of a real qube does.
func (a *agent) login(argv, env []string) []string {
	if _, err := os.Stat(filepath.Join(a.homeOf(env), ".profile")); err != nil {
		return argv
	}
	return append([]string{"/bin/sh", "-c", `. "$HOME/.profile"; exec "$@"`, "sh"}, argv...)
}

func (a *agent) service(full string) ([]string, error) {
	name, argument, _ := strings.Cut(full, "+")
	switch name {
	case "qubes.VMShell", "qubes.VMRootShell":
		return []string{"/bin/bash"}, nil
	case "qubes.VMExec", "qubes.VMRootExec":
		argv, err := DecodeExec(argument)
		if err != nil {
			return nil, problem{1, "Decode error: " + err.Error()}
		}
		return argv, nil
	case "qubes.WaitForSession":
		return []string{"/bin/true"}, nil
	}
	own := a.inQube("rpc", name)
	if strings.ContainsRune(name, '/') || unix.Access(own, unix.X_OK) != nil {
		return nil, problem{ExitNoService, "service not found: " + name}
	}
	if argument == "" {
		return []string{own}, nil
	}
	return []string{own, argument}, nil
}

// EncodeExec writes argv as the argument of qubes.VMExec.
func EncodeExec(argv []string) string {
	var b strings.Builder
	for i, arg := range argv {
		if i > 0 {
			b.WriteByte('+')
		}
		for _, c := range []byte(arg) {
			switch {
			case c == '-':
				b.WriteString("--")
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.':
				b.WriteByte(c)
			default:
				b.WriteString("-" + strings.ToUpper(hex.EncodeToString([]byte{c})))
			}
		}
	}
	return b.String()
}

// DecodeExec is the reverse of EncodeExec; it refuses every other spelling.
func DecodeExec(s string) ([]string, error) {
	var argv []string
	for _, word := range strings.Split(s, "+") {
		var arg []byte
		for i := 0; i < len(word); i++ {
			if word[i] != '-' {
				arg = append(arg, word[i])
				continue
			}
			if strings.HasPrefix(word[i:], "--") {
				arg = append(arg, '-')
				i++
				continue
			}
			if len(word) < i+3 {
				return nil, errors.New("truncated escape")
			}
			c, err := hex.DecodeString(word[i+1 : i+3])
			if err != nil {
				return nil, errors.New("bad escape")
			}
			arg = append(arg, c...)
			i += 2
		}
		argv = append(argv, string(arg))
	}
	if EncodeExec(argv) != s {
		return nil, errors.New("not the canonical encoding")
	}
	return argv, nil
}
