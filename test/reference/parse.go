package main

import (
	"encoding/xml"
	"fmt"
	"strings"

	"qvmremote/dbus"
)

// docs is what the files say about a thing, in paragraphs.
type docs struct {
	Description []string `xml:"description>para"`
	Summary     []string `xml:"summary>para"`
}

// text is all paragraphs, each on one line.
func (d docs) text() string {
	var all []string
	for _, p := range append(d.Description, d.Summary...) {
		all = append(all, strings.Join(strings.Fields(p), " "))
	}
	return strings.Join(all, "\n\n")
}

type annotation struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type arg struct {
	Name      string `xml:"name,attr"`
	Type      string `xml:"type,attr"`
	Direction string `xml:"direction,attr"`
	Docs      docs   `xml:"http://www.freedesktop.org/dbus/1.0/doc.dtd doc"`
}

// member is a property, method or signal.
type member struct {
	Name        string       `xml:"name,attr"`
	Type        string       `xml:"type,attr"`   // of a property
	Access      string       `xml:"access,attr"` // to a property
	Args        []arg        `xml:"arg"`
	Annotations []annotation `xml:"annotation"`
	Docs        docs         `xml:"http://www.freedesktop.org/dbus/1.0/doc.dtd doc"`
}

// annotated is the value of an annotation, "" where there is none.
func (m member) annotated(name string) string {
	for _, a := range m.Annotations {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// described is one interface.
type described struct {
	Name       string   `xml:"name,attr"`
	Docs       docs     `xml:"http://www.freedesktop.org/dbus/1.0/doc.dtd doc"`
	Properties []member `xml:"property"`
	Methods    []member `xml:"method"`
	Signals    []member `xml:"signal"`
}

// readInterfaces reads the descriptions that the service serves, with their words.
func readInterfaces() ([]described, error) {
	var all []described
	for _, name := range []string{dbus.ManagerInterface, dbus.QubeInterface, dbus.RequestInterface} {
		text, err := dbus.Source(name)
		if err != nil {
			return nil, err
		}
		var node struct {
			Interfaces []described `xml:"interface"`
		}
		if err := xml.Unmarshal(text, &node); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, node.Interfaces...)
	}
	return all, nil
}

// action is what polkit knows about one.
type action struct {
	ID          string `xml:"id,attr"`
	Description string `xml:"description"`
	Any         string `xml:"defaults>allow_any"`
	Inactive    string `xml:"defaults>allow_inactive"`
	Active      string `xml:"defaults>allow_active"`
	Annotations []struct {
		Key   string `xml:"key,attr"`
		Value string `xml:",chardata"`
	} `xml:"annotate"`
}

// implied are the actions that polkit grants together with this one.
func (a action) implied() []string {
	for _, n := range a.Annotations {
		if n.Key == "org.freedesktop.policykit.imply" {
			return strings.Fields(n.Value)
		}
	}
	return nil
}

func readActions(policy []byte) ([]action, error) {
	var file struct {
		Actions []action `xml:"action"`
	}
	if err := xml.Unmarshal(policy, &file); err != nil {
		return nil, fmt.Errorf("the polkit policy: %w", err)
	}
	return file.Actions, nil
}
