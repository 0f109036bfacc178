package tools

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"qvmremote/test/sim/world"
)

// columns are what qvm-ls can be asked for. The ones that need hardware, a
// network or a template are there and always "-".
var columns = []string{"NAME", "STATE", "CLASS", "LABEL", "UUID", "DEFAULT_USER", "NETVM", "XID", "TEMPLATE", "IP", "MEMORY", "MAXMEM",
	"VCPUS", "FLAGS", "DISK", "QID", "VIRT_MODE", "KERNEL"}

// lsOptions are qvm-ls's arguments.
type lsOptions struct {
	rawData, rawList, all   bool
	fields                  string
	running, paused, halted bool
	exclude                 []string
	names                   []string
}

// qvmLs is qvm-ls: a table of qubes, or with --raw-data one line each with
// "|" between the fields and no heading.
func qvmLs(p place, argv []string) int {
	o := lsOptions{fields: "NAME,STATE,CLASS,LABEL,TEMPLATE,NETVM"}
	parser := parser{prog: "qvm-ls", usage: "[--raw-data] [--raw-list] [--fields FIELD,...] [VMNAME ...]", anywhere: true, options: []option{
		flag(&o.rawData, true, "--raw-data"), flag(&o.rawList, true, "--raw-list"),
		text(&o.fields, "--fields", "-O"), flag(&o.all, true, "--all"),
		flag(&o.running, true, "--running"), flag(&o.paused, true, "--paused"), flag(&o.halted, true, "--halted"),
		{names: []string{"--exclude"}, value: true, set: func(v string) error { o.exclude = append(o.exclude, v); return nil }},
		ignored(true, "--format", "-o"), ignored(true, "--tags"), ignored(false, "--spinner"), ignored(false, "--no-spinner"),
		ignored(false, "-v", "--verbose"), ignored(false, "-q", "--quiet"),
	}}
	names, err := parser.parse(argv[1:])
	o.names = names
	var rows [][]string
	if err == nil {
		rows, err = o.rows(p.World)
	}
	if err != nil {
		return parser.fail(err)
	}
	if o.rawData || o.rawList {
		for _, r := range rows {
			fmt.Println(strings.Join(r, "|"))
		}
		return 0
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, r := range append([][]string{o.columns()}, rows...) {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	t.Flush()
	return 0
}

func (o lsOptions) columns() []string {
	if o.rawList {
		return []string{"NAME"}
	}
	fields := strings.Split(strings.ToUpper(o.fields), ",")
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return fields
}

func (o lsOptions) rows(w world.World) ([][]string, error) {
	for _, c := range o.columns() {
		if !slices.Contains(columns, c) {
			return nil, fmt.Errorf("no such column: %q", c)
		}
	}
	names, err := o.selected(w)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, name := range names {
		row, err := o.row(w, name)
		if errors.Is(err, world.ErrNoQube) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if row != nil {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (o lsOptions) selected(w world.World) ([]string, error) {
	all, err := w.Qubes()
	if err != nil {
		return nil, err
	}
	all = append(all, "dom0")
	slices.Sort(all)
	names := all
	if len(o.names) > 0 {
		names = o.names
	}
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("no such domain: %q", n)
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(o.exclude, n) }), nil
}

// row is nil when the power state is not asked for.
func (o lsOptions) row(w world.World, name string) ([]string, error) {
	values := map[string]string{"NAME": name, "STATE": "Running", "CLASS": "AdminVM", "LABEL": "black"}
	if name != "dom0" {
		for _, c := range []string{"STATE", "CLASS", "LABEL", "UUID", "DEFAULT_USER", "NETVM"} {
			v, err := w.Property(name, strings.ToLower(c))
			if err != nil {
				return nil, err
			}
			values[c] = v
		}
	}
	state := world.State(values["STATE"])
	if (o.running || o.paused || o.halted) &&
		!(o.running && state == world.Running || o.paused && state == world.Paused || o.halted && state == world.Halted) {
		return nil, nil
	}
	var row []string
	for _, c := range o.columns() {
		v := values[c]
		if v == "" {
			v = "-"
		}
		row = append(row, v)
	}
	return row, nil
}
