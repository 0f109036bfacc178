package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"qvmremote/dbus"
	"qvmremote/dbus/gate"
)

// page collects the document.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// cell is text in a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n\n", "<br>"), "|", `\|`)
}

// reference is the generated part of the document.
func reference(interfaces []described, actions []action) string {
	p := &page{}
	p.line("\n## Reference\n")
	p.line("Types are written as in D-Bus's signatures: `s` text, `b` true or false, `u` and")
	p.line("`t` numbers of 32 and 64 bits, `x` one with a sign, `h` a file descriptor, `o` an")
	p.line("object, `a` a list of what follows, `(…)` a group, `a{sv}` named values.")
	for _, i := range interfaces {
		p.face(i)
	}
	p.errors()
	p.actions(actions)
	return p.String()
}

func (p *page) face(i described) {
	p.line("\n### %s\n\n%s", i.Name, i.Docs.text())
	if len(i.Properties) > 0 {
		p.line("\n| property | type | a change is told | |\n|---|---|---|---|")
		for _, m := range i.Properties {
			p.line("| `%s` | `%s` | %s | %s |", m.Name, m.Type, told(m), cell(m.Docs.text()))
		}
	}
	for _, m := range i.Methods {
		p.line("\n#### %s\n\n`%s(%s)`%s\n\n%s\n\n%s", m.Name, m.Name, list(m, "in"), results(m), needs(m), m.Docs.text())
		p.args(m)
	}
	for _, m := range i.Signals {
		p.line("\n#### Signal %s\n\n`%s(%s)`\n\n%s", m.Name, m.Name, list(m, ""), m.Docs.text())
		p.args(m)
	}
}

// told is how clients learn of a property's change.
func told(m member) string {
	switch how := m.annotated("org.freedesktop.DBus.Property.EmitsChangedSignal"); how {
	case "", "true":
		return "with the value"
	case "invalidates":
		return "without the value"
	case "const":
		return "never changes"
	default:
		return how
	}
}

// needs says who may call a method.
func needs(m member) string {
	switch action := m.annotated(dbus.ActionAnnotation); action {
	case "":
		return "Denied to everybody."
	case gate.Open:
		return "Open to all whom the bus lets through."
	default:
		return "Needs `" + action + "`."
	}
}

func list(m member, direction string) string {
	var words []string
	for _, a := range m.Args {
		if a.Direction == direction {
			words = append(words, a.Name+" "+a.Type)
		}
	}
	return strings.Join(words, ", ")
}

func results(m member) string {
	if out := list(m, "out"); out != "" {
		return " → `" + out + "`"
	}
	return ""
}

func (p *page) args(m member) {
	first := true
	for _, a := range m.Args {
		if text := a.Docs.text(); text != "" {
			if first {
				p.line("")
			}
			first = false
			p.line("- `%s`: %s", a.Name, text)
		}
	}
}

func (p *page) errors() {
	p.line("\n### Errors\n")
	p.line("The names begin with `org.qvmremote1.Error.`; the text of each says what failed and")
	p.line("what to do. D-Bus's own errors mean what they always mean: `AccessDenied` is the")
	p.line("bus's policy.\n")
	p.line("| name | |\n|---|---|")
	codes := dbus.Codes()
	for _, c := range slices.Sorted(maps.Keys(codes)) {
		p.line("| `%s` | %s |", c, cell(codes[c]))
	}
}

func (p *page) actions(actions []action) {
	p.line("\n### Actions of polkit\n")
	p.line("What polkit answers where nobody has changed it, for whoever sits at dom0's screen,")
	p.line("is logged in behind another session, or has none. Root is not asked about.\n")
	p.line("| action | allows to | at the screen | behind it | no session | implies |\n|---|---|---|---|---|---|")
	for _, a := range actions {
		implied := "–"
		if names := a.implied(); len(names) > 0 {
			implied = "`" + strings.Join(names, "`, `") + "`"
		}
		p.line("| `%s` | %s | `%s` | `%s` | `%s` | %s |", a.ID, cell(a.Description), a.Active, a.Inactive, a.Any, implied)
	}
}
