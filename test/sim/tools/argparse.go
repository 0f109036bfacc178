package tools

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// An option as Python's argparse reads it: --name VALUE, --name=VALUE,
// unambiguous beginnings of long names, -nVALUE and joined short flags.
type option struct {
	names []string
	value bool // takes a value
	maybe bool // the value is optional: only after =
	set   func(value string) error
}

func flag(p *bool, to bool, names ...string) option {
	return option{names: names, set: func(string) error { *p = to; return nil }}
}

func text(p *string, names ...string) option {
	return option{names: names, value: true, set: func(v string) error { *p = v; return nil }}
}

func count(p *int, by int, names ...string) option {
	return option{names: names, set: func(string) error { *p += by; return nil }}
}

func ignored(value bool, names ...string) option {
	return option{names: names, value: value, set: func(string) error { return nil }}
}

// parser reads the arguments of one tool.
type parser struct {
	prog, usage string
	options     []option
	anywhere    bool // options may follow positional arguments
}

var errHelp = errors.New("help wanted")

// fail prints an error as argparse does and returns its exit code.
func (p parser) fail(err error) int {
	if errors.Is(err, errHelp) {
		fmt.Printf("usage: %s %s\n", p.prog, p.usage)
		return 0
	}
	fmt.Fprintf(os.Stderr, "usage: %s %s\n%s: error: %v\n", p.prog, p.usage, p.prog, err)
	return 2
}

// parse sets the options and returns the positional arguments: all from the
// first one on, or with anywhere those that are no options.
func (p parser) parse(args []string) ([]string, error) {
	var rest []string
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			return append(rest, args[1:]...), nil
		}
		if arg == "-" || !strings.HasPrefix(arg, "-") {
			if !p.anywhere {
				return args, nil
			}
			rest, args = append(rest, arg), args[1:]
			continue
		}
		var err error
		if strings.HasPrefix(arg, "--") {
			args, err = p.long(args)
		} else {
			args, err = p.short(args)
		}
		if err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func (p parser) long(args []string) ([]string, error) {
	name, value, joined := strings.Cut(args[0], "=")
	if name == "--help" {
		return nil, errHelp
	}
	o, err := p.find(name)
	if err != nil {
		return nil, err
	}
	args = args[1:]
	switch {
	case joined && !o.value && !o.maybe:
		return nil, fmt.Errorf("argument %s: ignored explicit argument %q", strings.Join(o.names, "/"), value)
	case o.value && !joined:
		if len(args) == 0 || strings.HasPrefix(args[0], "-") && args[0] != "-" {
			return nil, fmt.Errorf("argument %s: expected one argument", strings.Join(o.names, "/"))
		}
		value, args = args[0], args[1:]
	}
	return args, o.set(value)
}

func (p parser) find(name string) (option, error) {
	var found []option
	for _, o := range p.options {
		for _, n := range o.names {
			if n == name {
				return o, nil
			}
			if strings.HasPrefix(n, name) && strings.HasPrefix(n, "--") {
				found = append(found, o)
				break
			}
		}
	}
	switch len(found) {
	case 0:
		return option{}, fmt.Errorf("unrecognized arguments: %s", name)
	case 1:
		return found[0], nil
	}
	return option{}, fmt.Errorf("ambiguous option: %s", name)
}

func (p parser) short(args []string) ([]string, error) {
	letters, args := args[0][1:], args[1:]
	for letters != "" {
		name := "-" + letters[:1]
		letters = letters[1:]
		if name == "-h" {
			return nil, errHelp
		}
		o, err := p.exactly(name)
		if err != nil {
			return nil, err
		}
		value := ""
		if o.value {
			if value, letters = strings.TrimPrefix(letters, "="), ""; value == "" {
				if len(args) == 0 {
					return nil, fmt.Errorf("argument %s: expected one argument", strings.Join(o.names, "/"))
				}
				value, args = args[0], args[1:]
			}
		}
		if err := o.set(value); err != nil {
			return nil, err
		}
	}
	return args, nil
}

func (p parser) exactly(name string) (option, error) {
	for _, o := range p.options {
		for _, n := range o.names {
			if n == name {
				return o, nil
			}
		}
	}
	return option{}, fmt.Errorf("unrecognized arguments: %s", name)
}
