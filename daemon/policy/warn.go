package policy

import (
	"fmt"
	"path"
	"slices"
)

// Warnings says what in the files does less, or lets through more, than whoever
// wrote it may think.
func (p *Policy) Warnings() []string {
	if p == nil {
		return nil
	}
	var list []string
	for i, r := range p.rules {
		for _, text := range []string{r.unprotecting(p.rules[i+1:]), r.unreached(p.rules[:i]), r.runner(), r.neverPlain()} {
			if text != "" {
				list = append(list, fmt.Sprintf("%s:%d: %s", r.file, r.line, text))
			}
		}
	}
	return list
}

// unprotecting: a deny is none where a script, which can hide the words, is let
// through below.
func (r *rule) unprotecting(below []*rule) string {
	if r.verdict != Deny || r.kind != aboutCommand && r.kind != aboutHash {
		return ""
	}
	for _, b := range below {
		if b.kind == aboutScript || b.kind == aboutEverything {
			if b.verdict != Allow {
				return ""
			}
			return fmt.Sprintf("this deny is no protection: '%s' in line %d lets scripts through, and a script can hide its words", b.text, b.line)
		}
	}
	return ""
}

func (r *rule) unreached(above []*rule) string {
	for _, a := range above {
		if a.kind == aboutEverything {
			return fmt.Sprintf("no request gets here: '%s' in line %d of %s is about everything", a.text, a.line, a.file)
		}
	}
	return ""
}

// runners run the programs that their arguments name.
var runners = wordSet(`
ash awk bash busybox chroot cpio dash dbus-send dnf doas ed emacs env ex find flock fish gawk gdb git ionice ksh less
man mawk mksh more make nano nice node nohup nsenter parallel perl php pkexec python python3 rpm rsync ruby runuser
script sed setpriv setsid sh socat ssh strace stdbuf su sudo systemd-run tar taskset tclsh time timeout unshare
vi view vim watch xargs zsh qvm-run qubes-dom0-update qubesctl salt-call`)

// runner: a rule that lets a program through, with any words, that runs others.
func (r *rule) runner() string {
	if r.verdict != Allow || r.kind != aboutCommand {
		return ""
	}
	open := r.rest || slices.ContainsFunc(r.words[min(1, len(r.words)):], func(p pattern) bool { return !p.exact })
	names, vague := r.programs()
	if vague {
		return "the program is not named, so this lets through every program of that form, also those that run others"
	}
	for _, name := range names {
		if open && runners[path.Base(name)] {
			return fmt.Sprintf("%s can run any program that its words name, as root", name)
		}
	}
	return ""
}

func (r *rule) neverPlain() string {
	names, _ := r.programs()
	for _, name := range names {
		if text := unseen([]string{name}); text != "" {
			return "this never matches, for such a request is a script: " + text
		}
	}
	return ""
}

// programs are those that a rule about a command names; vague says that it
// leaves some of their names open.
func (r *rule) programs() (names []string, vague bool) {
	if r.kind != aboutCommand {
		return nil, false
	}
	if len(r.words) == 0 {
		return nil, true
	}
	for _, s := range r.words[0].alts {
		if !s.exact() {
			vague = true
			continue
		}
		names = append(names, s[0].text)
	}
	return names, vague
}
