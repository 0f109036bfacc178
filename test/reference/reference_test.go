package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"qvmremote/dbus"
	"qvmremote/dbus/gate"
)

const root = "../../"

// TestDocumentIsUpToDate: what people read is what the service does.
func TestDocumentIsUpToDate(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + document)
	if err != nil {
		t.Fatal(err)
	}
	want, err := renewed(string(text), root+policyFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != want {
		t.Errorf("%s is old; run `make docs`", document)
	}
}

// TestTheHeadIsKept: writing anew changes nothing that people wrote.
func TestTheHeadIsKept(t *testing.T) {
	t.Parallel()
	got, err := renewed("By hand.\n"+marker+"old", root+policyFile)
	if err != nil || !strings.HasPrefix(got, "By hand.\n"+marker) || strings.HasSuffix(got, "old") {
		t.Errorf("%.60q, %v", got, err)
	}
	if _, err := renewed("no marker", root+policyFile); err == nil {
		t.Error("a document without the marker was written over")
	}
}

// TestEveryMemberIsDescribed: the XML says of each interface, property, method
// and signal what it is, and of each method who may call it.
func TestEveryMemberIsDescribed(t *testing.T) {
	t.Parallel()
	all, err := readInterfaces()
	if err != nil || len(all) != 3 {
		t.Fatalf("%d interfaces, %v", len(all), err)
	}
	for _, i := range all {
		members := slices.Concat(i.Properties, i.Methods, i.Signals)
		if i.Docs.text() == "" || len(members) == 0 {
			t.Errorf("%s is not described", i.Name)
		}
		for _, m := range members {
			if text := m.Docs.text(); !strings.HasSuffix(text, ".") {
				t.Errorf("%s.%s is described by %q", i.Name, m.Name, text)
			}
			for _, a := range m.Args {
				if a.Name == "" || a.Type == "" {
					t.Errorf("%s.%s has an argument without name or type", i.Name, m.Name)
				}
			}
		}
		for _, m := range i.Methods {
			if a := m.annotated(dbus.ActionAnnotation); a != gate.Open && !slices.Contains(gate.Actions(), a) {
				t.Errorf("%s.%s needs %q, which is no action", i.Name, m.Name, a)
			}
		}
		for _, m := range i.Properties {
			if m.Access != "read" {
				t.Errorf("%s.%s is not for reading alone", i.Name, m.Name)
			}
		}
	}
}

// TestNothingIsLost: what is in the files is in the document, word for word.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + document)
	if err != nil {
		t.Fatal(err)
	}
	has := func(words string) {
		t.Helper()
		if !strings.Contains(string(text), words) {
			t.Errorf("%s does not say %q", document, words)
		}
	}
	all, err := readInterfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		has("### " + i.Name)
		for _, m := range slices.Concat(i.Properties, i.Methods, i.Signals) {
			has(m.Name)
			has(m.Docs.text())
			for _, a := range m.Args {
				has(a.Name + " " + a.Type)
				has(a.Docs.text())
			}
		}
	}
	for code, meaning := range dbus.Codes() {
		has("`" + string(code) + "`")
		has(meaning)
	}
	for _, a := range gate.Actions() {
		has("`" + a + "`")
	}
}

// TestDescriptionsAgree: the words here come from the same members, with the
// same types, as what the service binds its methods to.
func TestDescriptionsAgree(t *testing.T) {
	t.Parallel()
	words, err := readInterfaces()
	if err != nil {
		t.Fatal(err)
	}
	served, err := dbus.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for n, i := range served {
		w := words[n]
		if w.Name != i.Name || len(w.Methods) != len(i.Methods) || len(w.Properties) != len(i.Properties) || len(w.Signals) != len(i.Signals) {
			t.Fatalf("%s has other members than are served", w.Name)
		}
		for k, m := range i.Methods {
			if w.Methods[k].Name != m.Name || w.Methods[k].annotated(dbus.ActionAnnotation) != dbus.Action(m) || len(w.Methods[k].Args) != len(m.Args) {
				t.Errorf("%s.%s differs from what is served", i.Name, m.Name)
			}
		}
		for k, p := range i.Properties {
			if w.Properties[k].Name != p.Name || w.Properties[k].Type != p.Type {
				t.Errorf("%s.%s differs from what is served", i.Name, p.Name)
			}
		}
	}
}
