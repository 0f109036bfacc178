package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/settings"
	"qvmremote/queue"
)

func (a *app) status() *cobra.Command {
	var asJSON, verbose bool
	c := &cobra.Command{Use: "status", Args: between(0, 0), Short: "Show the daemon, the qubes and their keys",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			st, err := d.Status(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return a.json(st)
			}
			a.showStatus(st)
			if verbose {
				a.say("\nAsked: %s", plain(d.Way()))
			}
			return nil
		})}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "also say who was asked: the service, or the files")
	return c
}

func (a *app) showStatus(st admin.Status) {
	a.say("%s %s", programName, st.Version)
	service := "not running"
	if st.Running {
		service = fmt.Sprintf("running (pid %d", st.Pid)
		if !st.Since.IsZero() {
			service += ", since " + st.Since.Local().Format(time.DateTime)
		}
		service += ")"
		if st.DryRun {
			service += ", DRY RUN: requests are used up, nothing is started"
		}
	}
	if paused := pausedLine(st.Paused); paused != "" {
		service += "; " + paused
	}
	var configured, authorized []string
	for _, q := range st.Qubes {
		if q.Configured {
			configured = append(configured, q.Name)
		}
		if q.Key != admin.KeyNone {
			authorized = append(authorized, q.Name)
		}
	}
	vms := orDash(strings.Join(configured, " "))
	if st.Unsure {
		vms = "unknown: the settings are broken"
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{{"Service", service}, {"Autostart", orUnknown(st.Autostart)}, {"Config", st.Config}, {"Keys dir", st.KeysDir},
		{"Log", st.Log}, {"Audit", st.Audit}, {"Configured VMs", vms}, {"Authorized VMs", orDash(strings.Join(authorized, " "))}} {
		fmt.Fprintf(w, "%s:\t%s\n", line[0], line[1])
	}
	_ = w.Flush()
	a.showQubes(st)
	a.showProblems(st)
}

func (a *app) showQubes(st admin.Status) {
	if len(st.Qubes) == 0 {
		return
	}
	a.say("")
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VM\tSTATE\tKEY\tCONNECTION\tRUNNING\tOPEN\tREFUSED")
	for _, q := range st.Qubes {
		state := "STOPPED"
		switch q.Power {
		case "Running":
			state = "running"
		case "unknown":
			state = "unknown"
		}
		key := keyWord(q.Key)
		if q.Legacy {
			key += ", legacy, insecure"
		}
		key += termsWords(q.Terms, time.Now())
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\n", q.Name, state, key, connectionOf(q), q.Running, q.Open, q.Refused)
	}
	_ = w.Flush()
}

// connectionOf tells how a qube is reached where that is not the usual way.
func connectionOf(q admin.QubeLine) string {
	text := orDash(queue.Escape(q.Connection, 60))
	switch q.Transport {
	case settings.Poll:
		text += ", polled"
	case settings.Qrexec:
		text += ", qrexec"
	}
	return text
}

func keyWord(state string) string {
	switch state {
	case admin.KeyGood:
		return "key-ok"
	case admin.KeyRotating:
		return "key-ok, rotating"
	case admin.KeyBad:
		return "BAD-KEY"
	}
	return "NO-KEY"
}

func (a *app) showProblems(st admin.Status) {
	var lines []string
	for _, q := range st.Qubes {
		switch {
		case q.Configured && q.Key == admin.KeyNone:
			lines = append(lines, fmt.Sprintf("WARNING: '%s' is configured but has no key: its requests are denied", q.Name))
		case q.Key == admin.KeyBad:
			lines = append(lines, fmt.Sprintf("WARNING: the key of '%s' cannot be used; see: qvm-remote-dom0 doctor", q.Name))
		case !q.Configured && !st.Unsure && q.Key != admin.KeyNone:
			lines = append(lines, fmt.Sprintf("INFO: '%s' has a key but is not configured: dom0 does not look at it", q.Name))
		}
	}
	for _, p := range st.Problems {
		lines = append(lines, "WARNING: "+p)
	}
	for _, h := range st.Health {
		lines = append(lines, strings.ToUpper(string(h.Severity))+": "+h.Text)
	}
	if len(lines) > 0 {
		a.say("")
	}
	for _, line := range lines {
		a.say("%s", plain(line))
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// json prints v as JSON of ASCII alone: what a terminal would act on, also the
// invisible and the reversing characters, comes as an escape.
func (a *app) json(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	a.say("%s", ascii(b))
	return nil
}

func ascii(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		switch {
		case r == 0x7f:
			out = append(out, `\u007f`...)
		case r < 0x80:
			out = append(out, byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
