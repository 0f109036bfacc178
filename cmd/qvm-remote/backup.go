package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"qvmremote/client"
	"qvmremote/client/backup"
	"qvmremote/client/backup/repository"
	"qvmremote/queue"
)

// backup saves, lists and restores what the qube's data folder holds.
func (p *program) backup(args []string) (int, error) {
	if len(args) == 0 {
		return 0, usageError{"backup requires: create | list | check | restore | push | pull"}
	}
	verb := map[string]func(*program, *backup.Keeper, []string) (int, error){
		"create": (*program).backupCreate, "list": (*program).backupList, "check": (*program).backupCheck,
		"restore": (*program).backupRestore, "push": (*program).backupPush, "pull": (*program).backupPull,
	}[args[0]]
	if verb == nil {
		return 0, usageError{"unknown backup command: " + args[0]}
	}
	k, err := backup.New(p.c)
	if err != nil {
		return 0, err
	}
	var rest []string
	for _, a := range args[1:] {
		dir, named := strings.CutPrefix(a, "--dir=")
		switch {
		case !named:
			rest = append(rest, a)
		case !slices.Contains([]string{"create", "list", "restore"}, args[0]):
			return 0, usageError{"--dir goes with backup create, list and restore"}
		default:
			if k.Dir, err = filepath.Abs(dir); err != nil || dir == "" {
				return 0, usageError{"--dir requires a folder: --dir=DIR"}
			}
		}
	}
	return verb(p, k, rest)
}

func (p *program) backupCreate(k *backup.Keeper, args []string) (int, error) {
	var withKey bool
	if _, err := p.arguments(args, 0, map[string]*bool{"--with-key": &withKey}); err != nil {
		return 0, err
	}
	pass := ""
	if withKey {
		if _, err := p.c.Key(); err != nil {
			return 0, exitError{queue.ExitUsage, err}
		}
		var err error
		if pass, err = p.passphrase(true); err != nil {
			return 0, err
		}
	}
	defer p.catch()()
	made, err := k.Create(p.ctx, pass)
	if err != nil {
		return 0, err
	}
	p.leftOut(made.LeftOut)
	keys := "without any key"
	if made.Keys {
		keys = "with the key, encrypted"
	}
	p.say("Saved %d commands with what belongs to them, %s, in %s:", made.Entries, keys, size(made.Size))
	return p.print(plain(made.Path) + "\n"), nil
}

// leftOut says what is not in a backup.
func (p *program) leftOut(left []backup.LeftOut) {
	const most = 20
	for _, l := range left[:min(len(left), most)] {
		p.say("qvm-remote: left out: %s", queue.Plain(l.String(), 0))
	}
	if more := len(left) - most; more > 0 {
		p.say("qvm-remote: left out: %d more", more)
	}
}

// passphrase asks for one, twice where it is new, or reads a line of standard
// input that is no terminal.
func (p *program) passphrase(fresh bool) (string, error) {
	if !term.IsTerminal(int(p.in.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(p.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("cannot read the passphrase: %w", err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", usageError{"give the passphrase on standard input"}
		}
		return line, p.strong(line, fresh)
	}
	first, err := p.ask("Passphrase: ")
	if err != nil {
		return "", fmt.Errorf("cannot read the passphrase: %w", err)
	}
	if err := p.strong(string(first), fresh); err != nil || !fresh {
		return string(first), err
	}
	again, err := p.ask("Once more: ")
	if err != nil {
		return "", fmt.Errorf("cannot read the passphrase: %w", err)
	}
	if string(first) != string(again) {
		return "", usageError{"the two passphrases differ"}
	}
	return string(first), nil
}

func (p *program) strong(pass string, fresh bool) error {
	if fresh && len(pass) < backup.MinPassphrase {
		return exitError{queue.ExitUsage, backup.ErrShortPassphrase}
	}
	return nil
}

func (p *program) backupList(k *backup.Keeper, args []string) (int, error) {
	if _, err := p.arguments(args, 0, nil); err != nil {
		return 0, err
	}
	list, err := k.List()
	if err != nil {
		return 0, err
	}
	if len(list) == 0 {
		return p.print("No backups in " + plain(k.Dir) + "\n"), nil
	}
	var b strings.Builder
	for _, a := range list {
		fmt.Fprintf(&b, "%-50s %10s  %s\n", a.Name, size(a.Size), age(p.c.Now().Sub(a.Made)))
	}
	return p.print(b.String()), nil
}

func size(n int64) string {
	unit := "B"
	f := float64(n)
	for _, u := range []string{"KiB", "MiB", "GiB"} {
		if f < 1024 {
			break
		}
		f, unit = f/1024, u
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// age says a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

// archive is the path that a backup's command names.
func (p *program) archive(k *backup.Keeper, verb string, args []string, flags map[string]*bool) (string, error) {
	words, err := p.arguments(args, 1, flags)
	if err != nil {
		return "", err
	}
	if len(words) == 0 {
		return "", usageError{"backup " + verb + " requires a file. To list them: qvm-remote backup list"}
	}
	return k.Find(words[0]), nil
}

func (p *program) backupCheck(k *backup.Keeper, args []string) (int, error) {
	path, err := p.archive(k, "check", args, nil)
	if err != nil {
		return 0, err
	}
	defer p.catch()()
	c, err := k.Check(p.ctx, path)
	if err != nil {
		return 0, exitError{queue.ExitUsage, fmt.Errorf("%s: %w", path, err)}
	}
	yes := map[bool]string{true: "yes", false: "no"}
	keys := "no"
	if c.Keys {
		keys = "yes, encrypted"
	}
	return p.print(fmt.Sprintf("%s\nmade      %s\nqube      %s\nkey       %s\ncommands  %d\nsize      %s\nlog       %s\nsettings  %s\nkeys      %s\n",
		"The backup is whole.", c.Made.Local().Format(time.DateTime), c.Qube, c.Key, c.Entries, size(c.Bytes), yes[c.Log], yes[c.Settings], keys)), nil
}

func (p *program) backupRestore(k *backup.Keeper, args []string) (int, error) {
	var ch backup.Choice
	path, err := p.archive(k, "restore", args, map[string]*bool{"--log": &ch.Log, "--settings": &ch.Settings,
		"--key": &ch.Keys, "--replace-key": &ch.ReplaceKey})
	if err != nil {
		return 0, err
	}
	if ch.ReplaceKey && !ch.Keys {
		return 0, usageError{"--replace-key goes with --key"}
	}
	if ch.Keys {
		if ch.Passphrase, err = p.passphrase(false); err != nil {
			return 0, err
		}
	}
	defer p.catch()()
	done, err := k.Restore(p.ctx, path, ch)
	switch {
	case errors.Is(err, client.ErrKeyExists):
		return 0, exitError{queue.ExitUsage, errors.New("nothing was restored: this qube has another key, which is the one dom0 knows. " +
			"To put the one of the backup in its place: --replace-key (the old one is kept in auth.key.old)")}
	case err != nil && done.Safety == "":
		return 0, exitError{queue.ExitUsage, fmt.Errorf("%s: %w; nothing here was changed", path, err)}
	}
	code := p.restored(done)
	return code, err
}

// restored says what was done, also where it ended early.
func (p *program) restored(done backup.Restored) int {
	p.say("What was here before is saved in %s", plain(done.Safety))
	text := fmt.Sprintf("Added %d commands to the history; %d were here already.\n", done.Added, done.Present)
	if done.Old > 0 {
		text += fmt.Sprintf("%d of them are older than the history keeps (%d days) and will go when it is tidied.\n",
			done.Old, p.c.Keeping.Age/(24*time.Hour))
	}
	if done.LogLines > 0 {
		text += fmt.Sprintf("Added %d lines to the log.\n", done.LogLines)
	}
	if done.Settings {
		text += "Restored the settings.\n"
	}
	if done.Keys {
		text += "Restored the key.\n"
	}
	return p.print(text)
}

func (p *program) backupPush(k *backup.Keeper, args []string) (int, error) {
	var told bool
	r, url, err := p.repository(k, args, map[string]*bool{"--yes": &told})
	if err != nil {
		return 0, err
	}
	defer p.catch()()
	done, err := r.Push(p.ctx, url, told)
	if errors.Is(err, repository.ErrNotTold) {
		p.say("%s", repository.Risk)
		return 0, exitError{queue.ExitUsage, fmt.Errorf("%w. To push all the same: qvm-remote backup push --yes URL", err)}
	}
	if err != nil {
		return 0, repositoryError(err)
	}
	p.leftOut(done.LeftOut)
	text := fmt.Sprintf("Pushed %d commands to %s\n", done.Entries, plain(done.Address))
	if done.Open > 0 {
		text += fmt.Sprintf("%d wait for the next push: they have no answer yet, or could still run.\n", done.Open)
	}
	return p.print(text), nil
}

func (p *program) backupPull(k *backup.Keeper, args []string) (int, error) {
	var log bool
	r, url, err := p.repository(k, args, map[string]*bool{"--log": &log})
	if err != nil {
		return 0, err
	}
	defer p.catch()()
	done, err := r.Pull(p.ctx, url, log)
	if err != nil && done.Safety == "" {
		return 0, repositoryError(fmt.Errorf("%w; nothing here was changed", err))
	}
	return p.restored(done.Restored), err
}

func (p *program) repository(k *backup.Keeper, args []string, flags map[string]*bool) (*repository.Repository, string, error) {
	words, err := p.arguments(args, 1, flags)
	if err != nil {
		return nil, "", err
	}
	r, err := repository.New(k)
	if err != nil {
		return nil, "", err
	}
	return r, strings.Join(words, ""), nil
}

// repositoryError tells a mistake in the address from a failure.
func repositoryError(err error) error {
	if errors.Is(err, repository.ErrAddress) || errors.Is(err, repository.ErrNoAddress) {
		return exitError{queue.ExitUsage, err}
	}
	return err
}
