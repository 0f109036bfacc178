package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"qvmremote/dbus"
	"qvmremote/queue"
)

// asked is a request that waits for approval, as --json prints it.
type asked struct {
	ID         uint64    `json:"id"` // dom0's number
	Qube       string    `json:"qube"`
	Received   time.Time `json:"received"`
	Expires    time.Time `json:"expires"`
	Sha256     string    `json:"sha256"`
	ScriptSize uint64    `json:"script_size"`
	StdinSize  int64     `json:"stdin_size"` // -1 for none
	Rule       string    `json:"rule"`
	Waiting    uint32    `json:"waiting"` // of the same qube, behind it
}

func (a *app) requests() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "requests", Args: between(0, 0), Short: "List what waits for somebody to approve it",
		Long: "List the requests that a qube's policy wants approved: the oldest of each qube.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			rows, err := d.Requests(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				list := []asked{}
				for _, r := range rows {
					list = append(list, asked{r.Number, r.Qube, r.Received.UTC(), r.Expires.UTC(), r.Sha256, r.ScriptSize, r.StdinSize, r.Rule, r.Waiting})
				}
				return a.json(list)
			}
			a.showRequests(rows)
			return nil
		})}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) showRequests(rows []dbus.Request) {
	if len(rows) == 0 {
		a.say("Nothing waits for approval.")
		return
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tVM\tRECEIVED\tEXPIRES\tBYTES\tBEHIND\tRULE")
	for _, r := range rows {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\n", r.Number, plain(r.Qube), r.Received.Local().Format(time.DateTime), r.Expires.Local().Format(time.DateTime),
			sizes(r), r.Waiting, plain(r.Rule))
	}
	_ = w.Flush()
}

func sizes(r dbus.Request) string {
	if r.StdinSize < 0 {
		return fmt.Sprint(r.ScriptSize)
	}
	return fmt.Sprintf("%d + %d of input", r.ScriptSize, r.StdinSize)
}

func (a *app) approve() *cobra.Command {
	var scope dbus.Scope
	var hash string
	c := &cobra.Command{Use: "approve ID", Args: between(1, 1), Short: "Show what a request would run, and let it",
		Long: "Show the exact bytes that a request would run as root in dom0, escaped, and ask whether it\n" +
			"may. With --hash of those bytes nobody is asked. ID is dom0's number, which `" + programName + " requests`\n" +
			"shows. What is granted beyond this request ends with the boot.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			if scope.For < 0 || scope.For%time.Second != 0 {
				return fmt.Errorf("--for %v is not a number of seconds", scope.For)
			}
			r, err := findRequest(ctx, d, args[0])
			if err != nil {
				return err
			}
			script, stdin, own, err := d.RequestBytes(ctx, r)
			if err != nil {
				return err
			}
			if hash == "" {
				if err := a.reviewed(ctx, r, script, stdin, own); err != nil {
					return err
				}
			} else if hash != own {
				return fmt.Errorf("--hash is not that of the request's bytes, which is %s; look at them: %s approve %d", own, programName, r.Number)
			}
			if err := d.Approve(ctx, r.Number, own, scope); err != nil {
				return err
			}
			a.say("Approved request %d of VM '%s'.", r.Number, r.Qube)
			return nil
		})}
	c.Flags().StringVar(&hash, "hash", "", "approve without being asked, if this is the hash of the bytes")
	c.Flags().DurationVar(&scope.For, "for", 0, "also the same bytes for so long, such as 10m")
	c.Flags().Uint64Var(&scope.Count, "count", 0, "also the same bytes so many more times")
	c.Flags().BoolVar(&scope.UntilReboot, "until-reboot", false, "also the same bytes until dom0 reboots")
	c.Flags().BoolVar(&scope.Qube, "qube", false, "with one of the three: not the same bytes alone, but whatever the qube asks")
	return c
}

// reviewed shows the bytes and asks; nil is a yes.
func (a *app) reviewed(ctx context.Context, r dbus.Request, script, stdin []byte, hash string) error {
	lines := []string{fmt.Sprintf("Request %d of VM '%s', received %s, expires %s", r.Number, plain(r.Qube), r.Received.Local().Format(time.DateTime), r.Expires.Local().Format(time.DateTime)),
		"Rule:   " + plain(r.Rule), "SHA256: " + hash, fmt.Sprintf("--- the script, %d bytes, each line escaped ---", len(script))}
	lines = append(lines, escaped(script)...)
	if r.StdinSize >= 0 {
		lines = append(lines, fmt.Sprintf("--- its input, %d bytes, each line escaped ---", len(stdin)))
		lines = append(lines, escaped(stdin)...)
	}
	if err := a.paged(ctx, append(lines, "--- end ---")); err != nil {
		return err
	}
	yes, err := a.agrees(ctx, fmt.Sprintf("It would run as root in dom0. Type 'yes' to approve request %d: ", r.Number))
	if err == nil && !yes {
		a.say("Not approved; it still waits. To deny it: %s deny %d", programName, r.Number)
		err = errSaid
	}
	return err
}

// escaped is a qube's text, line by line, fit for a terminal and cut nowhere.
func escaped(text []byte) []string {
	var lines []string
	for line := range strings.Lines(string(text)) {
		whole, ended := strings.CutSuffix(line, "\n")
		shown := "| " + queue.EscapeASCII(whole, 10*len(whole)+1)
		if !ended {
			shown += "   (no newline at its end)"
		}
		lines = append(lines, shown)
	}
	return lines
}

// paged prints lines, on a terminal as many at once as it shows: none scrolls
// out of sight before somebody says so.
func (a *app) paged(ctx context.Context, lines []string) error {
	height := len(lines)
	if a.interactive() {
		width, rows, err := term.GetSize(int(a.in.Fd()))
		if err != nil || width <= 0 || rows <= 0 { // a terminal that does not tell
			width, rows = 80, 24
		}
		lines = folded(lines, width)
		height = max(1, rows-2)
	}
	for i, line := range lines {
		if i > 0 && i%height == 0 {
			fmt.Fprintf(a.out, "-- %d of %d rows; Enter for more --", i, len(lines))
			if _, err := await(ctx, a.line); err != nil {
				return fmt.Errorf("not all of it was shown: %w", err)
			}
		}
		a.say("%s", line)
	}
	return nil
}

// folded cuts lines into what a row of the terminal holds. What goes on from the
// row above begins with a mark of its own, so that no part of a qube's line can
// look like one of this program's. A character counts as two columns where it
// may take them; those of scripts are ASCII.
func folded(lines []string, width int) []string {
	const mark = "+ "
	width = max(width, len(mark)+2)
	var rows []string
	for _, line := range lines {
		var row strings.Builder
		used := 0
		for _, c := range line {
			w := 1
			if c > '~' {
				w = 2
			}
			if used+w > width {
				rows = append(rows, row.String())
				row.Reset()
				row.WriteString(mark)
				used = len(mark)
			}
			row.WriteRune(c)
			used += w
		}
		rows = append(rows, row.String())
	}
	return rows
}

func (a *app) deny() *cobra.Command {
	var untilReboot bool
	c := &cobra.Command{Use: "deny ID", Args: between(1, 1), Short: "Deny a request that waits for approval",
		Long: "Deny a request that waits for approval, and those of its qube with the same bytes. Those\nare denied for 30 seconds more, and twice as long after each further time.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			r, err := findRequest(ctx, d, args[0])
			if err != nil {
				return err
			}
			if err := d.Deny(ctx, r.Number, untilReboot); err != nil {
				return err
			}
			a.say("Denied request %d of VM '%s'.", r.Number, r.Qube)
			return nil
		})}
	c.Flags().BoolVar(&untilReboot, "until-reboot", false, "deny the same bytes until dom0 reboots")
	return c
}

// findRequest is the request that waits under dom0's number.
func findRequest(ctx context.Context, d dom0, id string) (dbus.Request, error) {
	number, err := strconv.ParseUint(id, 10, 64)
	if err != nil || number == 0 {
		return dbus.Request{}, fmt.Errorf("%s is not the number of a request; see: %s requests", queue.Quote(id, 40), programName)
	}
	rows, err := d.Requests(ctx)
	if err != nil {
		return dbus.Request{}, err
	}
	for _, r := range rows {
		if r.Number == number {
			return r, nil
		}
	}
	return dbus.Request{}, fmt.Errorf("no request with the number %d waits for approval; it may be decided, cancelled or expired, or wait behind another of its qube; see: %s requests", number, programName)
}

// approvals are the requests that somebody must decide about.
type approvals interface {
	Requests(context.Context) ([]dbus.Request, error)
	RequestBytes(ctx context.Context, r dbus.Request) (script, stdin []byte, hash string, err error)
	Approve(ctx context.Context, number uint64, hash string, scope dbus.Scope) error
	Deny(ctx context.Context, number uint64, untilReboot bool) error
	Approvals(context.Context) ([]dbus.Approval, error)
	RevokeApprovals(ctx context.Context, vm string, number uint64) (uint32, error)
}

// errNoApproval is for where the daemon cannot be asked.
var errNoApproval = errors.New("what waits for approval, and what is approved, is known to the daemon alone, which tells it over the message bus, where it does not answer")

func (f onFiles) Requests(context.Context) ([]dbus.Request, error) {
	if _, running := f.Executor(); running {
		return nil, errNoApproval
	}
	return nil, nil
}

func (onFiles) RequestBytes(context.Context, dbus.Request) ([]byte, []byte, string, error) {
	return nil, nil, "", errNoApproval
}

func (onFiles) Approve(context.Context, uint64, string, dbus.Scope) error { return errNoApproval }

func (onFiles) Deny(context.Context, uint64, bool) error { return errNoApproval }

func (b *overBus) Requests(ctx context.Context) ([]dbus.Request, error) { return b.c.Requests(ctx) }

func (b *overBus) RequestBytes(ctx context.Context, r dbus.Request) ([]byte, []byte, string, error) {
	return b.c.RequestBytes(ctx, r)
}

func (b *overBus) Approve(ctx context.Context, number uint64, hash string, scope dbus.Scope) error {
	return b.c.Approve(ctx, number, hash, scope)
}

func (b *overBus) Deny(ctx context.Context, number uint64, untilReboot bool) error {
	return b.c.Deny(ctx, number, untilReboot)
}
