package gate

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"qvmremote/dbus"
)

const policyFile = "../../packaging/polkit/org.qvmremote1.policy"

type action struct {
	ID           string   `xml:"id,attr"`
	Descriptions []string `xml:"description"`
	Messages     []string `xml:"message"`
	Defaults     []struct {
		Any      []string `xml:"allow_any"`
		Inactive []string `xml:"allow_inactive"`
		Active   []string `xml:"allow_active"`
	} `xml:"defaults"`
	Annotations []struct {
		Key   string `xml:"key,attr"`
		Value string `xml:",chardata"`
	} `xml:"annotate"`
	Others []struct{ XMLName xml.Name } `xml:",any"`

	comment string // that stands before it
}

// defaults are the three answers, for anybody, inactive and active sessions.
func (a action) defaults(t *testing.T) [3]string {
	t.Helper()
	if len(a.Defaults) != 1 || len(a.Defaults[0].Any) != 1 || len(a.Defaults[0].Inactive) != 1 || len(a.Defaults[0].Active) != 1 {
		t.Fatalf("%s does not say each default once", a.ID)
	}
	d := a.Defaults[0]
	return [3]string{d.Any[0], d.Inactive[0], d.Active[0]}
}

// implies lists the actions that a covers, as polkit splits them.
func (a action) implies(t *testing.T) []string {
	t.Helper()
	if len(a.Annotations) == 0 {
		return nil
	}
	if len(a.Annotations) != 1 || a.Annotations[0].Key != "org.freedesktop.policykit.imply" {
		t.Fatalf("%s has other annotations than imply: %+v", a.ID, a.Annotations)
	}
	return strings.Split(a.Annotations[0].Value, " ")
}

// policy reads the file: its actions, and the names of what else it has.
func policy(t *testing.T) (actions map[string]action, others []string) {
	t.Helper()
	f, err := os.Open(policyFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := xml.NewDecoder(f)
	actions = map[string]action{}
	for comment := ""; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return actions, others
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.Comment:
			comment = string(token)
		case xml.StartElement:
			if token.Name.Local != "action" {
				others = append(others, token.Name.Local)
				continue
			}
			a := action{comment: comment}
			if err := d.DecodeElement(&a, &token); err != nil {
				t.Fatal(err)
			}
			if _, twice := actions[a.ID]; twice {
				t.Errorf("%s is there twice", a.ID)
			}
			actions[a.ID] = a
			comment = ""
		}
	}
}

func TestPolicyHasTheGatesActions(t *testing.T) {
	t.Parallel()
	actions, others := policy(t)
	for _, id := range Actions() {
		if _, ok := actions[id]; !ok {
			t.Errorf("polkit would not know %s", id)
		}
	}
	for id, a := range actions {
		if !slices.Contains(Actions(), id) {
			t.Errorf("no table may name %s", id)
		}
		if len(a.Others) != 0 {
			t.Errorf("%s has what nobody checks: %v", id, a.Others)
		}
		for _, texts := range [][]string{a.Descriptions, a.Messages} {
			if len(texts) != 1 || strings.TrimSpace(texts[0]) != texts[0] || len(texts[0]) < 20 {
				t.Errorf("%s says to people: %q", id, texts)
			}
		}
	}
	// No vendor_url: there is no page that this project has for certain.
	if want := []string{"policyconfig", "vendor", "icon_name"}; !reflect.DeepEqual(others, want) {
		t.Errorf("the file has %v, want %v and actions", others, want)
	}
}

// TestPolicyDefaults: a change of who may do what is made here as well, on
// purpose.
func TestPolicyDefaults(t *testing.T) {
	t.Parallel()
	const admin, keep = "auth_admin", "auth_admin_keep"
	want := map[string][3]string{
		View:           {admin, admin, keep},
		ManageKeys:     {admin, admin, admin},
		Approve:        {admin, admin, admin},
		ControlService: {admin, admin, keep},
		ChangeBoot:     {admin, admin, admin},
		StopEverything: {admin, admin, "yes"},
	}
	actions, _ := policy(t)
	for id, a := range actions {
		got := a.defaults(t)
		if got != want[id] {
			t.Errorf("%s: anybody, inactive, active: %v, want %v", id, got, want[id])
		}
		kept := strings.Contains(strings.Join(got[:], " "), "_keep")
		if kept != strings.Contains(a.comment, "\n    _keep: ") {
			t.Errorf("%s keeps an authorization: %v; the comment before it says\n%s", id, kept, a.comment)
		}
		if len(a.comment) < 100 {
			t.Errorf("%s: no comment says why it is as it is", id)
		}
	}
}

// TestPolicyImplies: polkit follows one step only, and an action that is free
// must give nothing away.
func TestPolicyImplies(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		Approve:        {View},
		ManageKeys:     {View, Approve, ControlService, ChangeBoot, StopEverything},
		ControlService: {View, StopEverything},
		ChangeBoot:     {ControlService, View, StopEverything},
	}
	actions, _ := policy(t)
	for id, a := range actions {
		implied := a.implies(t)
		if !reflect.DeepEqual(implied, want[id]) {
			t.Errorf("%s implies %q, want %q", id, implied, want[id])
		}
		if d := a.defaults(t); len(implied) != 0 && slices.Contains(d[:], "yes") {
			t.Errorf("%s needs no password and implies %q", id, implied)
		}
		if (len(implied) != 0) != strings.Contains(a.comment, "\n    Implies ") {
			t.Errorf("%s implies %q; the comment before it says\n%s", id, implied, a.comment)
		}
		for _, i := range implied {
			for _, further := range actions[i].implies(t) {
				if !slices.Contains(implied, further) {
					t.Errorf("%s implies %s but not %s, which that implies", id, i, further)
				}
			}
		}
	}
}

// TestInterfaceNamesTheGatesActions: a method whose annotation the gate does not
// know could be called by nobody, and an action that no method needs is none.
func TestInterfaceNamesTheGatesActions(t *testing.T) {
	t.Parallel()
	interfaces, err := dbus.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, i := range interfaces {
		for _, m := range i.Methods {
			a := dbus.Action(m)
			used[a] = true
			if a != Open && !slices.Contains(Actions(), a) {
				t.Errorf("%s.%s needs the action %q", i.Name, m.Name, a)
			}
		}
	}
	for _, a := range Actions() {
		if !used[a] {
			t.Errorf("no method needs %s", a)
		}
	}
}
