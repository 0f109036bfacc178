package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
)

// What --json prints is part of the interface: fields are added, never
// renamed or removed. Times are RFC 3339, ages and durations integers with
// their unit in the name.

type jsonStatus struct {
	Qube        string     `json:"qube"`
	Root        string     `json:"root"`
	Fingerprint string     `json:"fingerprint"` // "" without a key
	KeyProblem  string     `json:"key_problem,omitempty"`
	Connected   bool       `json:"connected"`
	LastLook    *time.Time `json:"last_look,omitempty"`
	Good        bool       `json:"good"`
	Pending     int        `json:"pending"`
	Running     int        `json:"running"`
	Results     int        `json:"results"`
	Cancels     int        `json:"cancels"`
	Orphans     int        `json:"orphans"`
	Stale       int        `json:"stale"`
	Legacy      bool       `json:"legacy"` // this client speaks version 1
}

type jsonFile struct {
	Folder     queue.Folder `json:"folder"`
	Name       string       `json:"name"`
	ID         string       `json:"id,omitempty"`
	Size       int64        `json:"size"`
	AgeSeconds int64        `json:"age_seconds"`
	Word       string       `json:"word,omitempty"`
	Stale      bool         `json:"stale"`
}

type jsonPast struct {
	ID         string      `json:"id"`
	Issued     *time.Time  `json:"issued,omitempty"`
	State      queue.State `json:"state"` // "" = no answer yet
	Exit       *int        `json:"exit"`  // null = no answer yet
	DurationMS int64       `json:"duration_ms"`
	Command    string      `json:"command"`
	Signed     bool        `json:"signed"`
}

type jsonFinding struct {
	Check    string          `json:"check"`
	Severity client.Severity `json:"severity"` // ok, warning or problem
	Cause    string          `json:"cause"`
	Next     string          `json:"next"` // "" when nothing is to be done
}

// encode prints v as one line of JSON. Control characters are escaped there.
func (p *program) encode(v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		p.say("qvm-remote: %v", err)
		return queue.ExitInternal
	}
	return p.print(string(b) + "\n")
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (p *program) status(args []string) (int, error) {
	if _, err := p.arguments(args, 0, nil); err != nil {
		return 0, err
	}
	s, err := p.c.Status(p.ctx)
	if err != nil {
		return 0, err
	}
	code := 0
	if !s.Good() {
		code = queue.ExitUsage
	}
	if p.json {
		out := p.encode(jsonStatus{s.Qube, s.Root, s.Fingerprint, s.KeyProblem, s.Connected, moment(s.LastLook), s.Good(),
			s.Pending, s.Running, s.Results, s.Cancels, s.Orphans, s.Stale, s.Legacy})
		return max(out, code), nil
	}
	return max(p.print(statusText(s)), code), nil
}

func statusText(s *client.Status) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", name+":", plain(fmt.Sprintf(format, args...)))
	}
	line("VM", "%s", s.Qube)
	line("Data dir", "%s", s.Root)
	switch {
	case s.KeyProblem != "":
		line("Auth key", "NOT USABLE: %s", s.KeyProblem)
	case s.Fingerprint == "":
		line("Auth key", "NOT CONFIGURED. Run: qvm-remote key gen")
	default:
		line("Auth key", "%s (configured)", s.Fingerprint)
	}
	if s.Legacy {
		line("Protocol", "1: %s", client.LegacyRisk)
	}
	if s.Clean() {
		line("Queue", "clean")
	} else {
		line("Queue", "STALE ENTRIES (%d files). To remove them: qvm-remote queue clean", s.Stale)
	}
	for _, n := range []struct {
		name  string
		count int
	}{{"pending", s.Pending}, {"running", s.Running}, {"results", s.Results}, {"orphans", s.Orphans}} {
		line("  "+n.name, "%d", n.count)
	}
	switch {
	case s.Connected:
		line("Daemon", "responding")
	case s.LastLook.IsZero():
		line("Daemon", "NOT responding. To find out why: qvm-remote doctor")
	default:
		line("Daemon", "NOT responding since %s. To find out why: qvm-remote doctor", s.LastLook.Format(time.DateTime))
	}
	return b.String()
}

func (p *program) queue(args []string) (int, error) {
	all := false
	words, err := p.arguments(args, 1, map[string]*bool{"--all": &all})
	if err != nil {
		return 0, err
	}
	verb := "status"
	if len(words) > 0 {
		verb = words[0]
	}
	switch {
	case all && verb != "clean":
		return 0, usageError{"unknown option: --all"}
	case verb == "clean":
		return p.queueClean(all)
	case verb != "status" && verb != "debug":
		return 0, usageError{"unknown queue command: " + verb}
	case p.json:
		return p.queueJSON()
	case verb == "debug":
		return p.queueDebug()
	}
	s, err := p.c.Status(p.ctx)
	if err != nil {
		return 0, err
	}
	text := fmt.Sprintf("%-14s %d\n%-14s %d\n%-14s %d\n%-14s %d\n%-14s %d\n%-14s %d\n", "pending", s.Pending, "running", s.Running,
		"results", s.Results, "cancels", s.Cancels, "orphans", s.Orphans, "total", s.Pending+s.Running+s.Results+s.Cancels+s.Orphans)
	if s.Stale > 0 {
		text += fmt.Sprintf("%d files belong to nothing that could still be answered. To remove them: qvm-remote queue clean\n", s.Stale)
	}
	return p.print(text), nil
}

func (p *program) queueClean(all bool) (int, error) {
	n, err := p.c.Clean(p.ctx, all)
	if err != nil {
		return 0, fmt.Errorf("cleaned %d files, but not all: %w", n, err)
	}
	if p.json {
		return p.encode(map[string]int{"removed": n}), nil
	}
	return p.print(fmt.Sprintf("Cleaned %d file(s) from queue.\n", n)), nil
}

func (p *program) queueJSON() (int, error) {
	files, more, err := p.c.Files(p.ctx, queue.MaxNames)
	if err != nil {
		return 0, err
	}
	list := make([]jsonFile, 0, len(files))
	for _, f := range files {
		list = append(list, jsonFile{f.Folder, f.Name, f.ID, f.Size, int64(f.Age / time.Second), string(f.Word), f.Stale})
	}
	return p.encode(map[string]any{"files": list, "more": more}), nil
}

func (p *program) queueDebug() (int, error) {
	files, more, err := p.c.Files(p.ctx, queue.MaxNames)
	if err != nil {
		return 0, err
	}
	var b strings.Builder
	for i, f := range files {
		if i == 0 || files[i-1].Folder != f.Folder {
			fmt.Fprintf(&b, "%s/\n", f.Folder)
		}
		note := plain(string(f.Word))
		if f.Stale {
			note += " STALE"
		}
		line := fmt.Sprintf("  %-44s %9dB %8ds %s", plain(f.Name), f.Size, int64(f.Age/time.Second), strings.TrimSpace(note))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		if f.Folder == queue.FolderPending && f.Name == f.ID && f.Size < 500 { // never a header
			if text, err := queue.ReadSmall(p.c.Layout.Body(f.ID), 500); err == nil {
				fmt.Fprintf(&b, "    %s\n", plain(strings.TrimSpace(string(text))))
			}
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	if len(files) == 0 {
		b.WriteString("The queue is empty.\n")
	}
	b.WriteString("history:\n" + historyText(p.c.History(5)))
	return p.print(b.String()), nil
}

func (p *program) log(args []string) (int, error) {
	words, err := p.arguments(args, 2, nil)
	if err != nil {
		return 0, err
	}
	n, err := number(words, 20)
	if err != nil {
		return 0, err
	}
	lines, err := p.c.Log(n)
	if err != nil {
		return 0, err
	}
	if len(lines) == 0 && n > 0 {
		return p.print("No audit log entries yet.\n"), nil
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(plain(l) + "\n")
	}
	return p.print(b.String()), nil
}

func (p *program) history(args []string) (int, error) {
	words, err := p.arguments(args, 2, nil)
	if err != nil {
		return 0, err
	}
	n, err := number(words, 10)
	if err != nil {
		return 0, err
	}
	list := p.c.History(n)
	if !p.json {
		return p.print(historyText(list)), nil
	}
	entries := make([]jsonPast, 0, len(list))
	for _, h := range list {
		e := jsonPast{h.ID, moment(h.Issued), h.State, nil, h.Duration.Milliseconds(), h.Command, h.Signed}
		if h.Exit >= 0 {
			e.Exit = &h.Exit
		}
		entries = append(entries, e)
	}
	return p.encode(map[string]any{"history": entries}), nil
}

func historyText(list []client.Past) string {
	if len(list) == 0 {
		return "No command history yet.\n"
	}
	width := 30
	for _, h := range list {
		width = max(width, len(h.ID))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s %-6s %-10s %s\n", width, "ID", "EXIT", "DURATION", "COMMAND")
	for _, h := range list {
		exit, duration := "-", "-"
		if h.Exit >= 0 {
			exit = fmt.Sprint(h.Exit)
			duration = fmt.Sprintf("%dms", h.Duration.Milliseconds())
		}
		fmt.Fprintf(&b, "%-*s %-6s %-10s %.50s\n", width, h.ID, exit, duration, h.Command)
	}
	return b.String()
}

func (p *program) doctor(args []string) (int, error) {
	if _, err := p.arguments(args, 0, nil); err != nil {
		return 0, err
	}
	defer p.catch()()
	var b strings.Builder
	code := 0
	list := []jsonFinding{}
	for _, f := range p.c.Doctor(p.ctx) {
		list = append(list, jsonFinding(f))
		fmt.Fprintf(&b, "%-8s %-11s %s\n", f.Severity, f.Check, plain(f.Cause))
		if f.Next != "" {
			fmt.Fprintf(&b, "%-8s %-11s → %s\n", "", "", plain(f.Next))
		}
		if f.Severity == client.Problem {
			code = queue.ExitUsage
		}
	}
	if p.json {
		return max(p.encode(map[string]any{"findings": list}), code), nil
	}
	return max(p.print(b.String()), code), nil
}
