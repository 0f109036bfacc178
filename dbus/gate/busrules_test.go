package gate

import (
	"encoding/xml"
	"os"
	"reflect"
	"slices"
	"testing"
)

const busFile = "../../packaging/dbus/org.qvmremote1.conf"

type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []element  `xml:",any"`
}

func (e element) attrs() map[string]string {
	all := map[string]string{}
	for _, a := range e.Attrs {
		all[a.Name.Local] = a.Value
	}
	return all
}

type rule struct {
	Verb  string // allow or deny
	Attrs map[string]string
}

// interfaces that root and the group may call, one by one.
var reachable = []string{
	"org.qvmremote1.Manager", "org.qvmremote1.Qube", "org.qvmremote1.Request", "org.freedesktop.DBus.Introspectable",
	"org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Properties",
}

func calls() (rules []rule) {
	for _, i := range reachable {
		rules = append(rules, rule{"allow", map[string]string{"send_destination": "org.qvmremote1", "send_interface": i}})
	}
	return rules
}

// TestBusRules: these rules, in this order, and no others. In particular none
// about receiving, and none that names another destination than ours.
func TestBusRules(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(busFile)
	if err != nil {
		t.Fatal(err)
	}
	var root element
	if err := xml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	own := map[string]string{"own": "org.qvmremote1"}
	want := []struct {
		who   map[string]string
		rules []rule
	}{
		{map[string]string{"context": "default"}, []rule{
			{"deny", own}, {"deny", map[string]string{"send_destination": "org.qvmremote1"}}}},
		{map[string]string{"user": "root"}, slices.Concat(
			[]rule{{"allow", own}}, calls(),
			[]rule{{"allow", map[string]string{"send_destination": "org.qvmremote1", "send_type": "signal"}}})},
		{map[string]string{"group": "qubes"}, calls()},
	}
	if root.XMLName.Local != "busconfig" || len(root.Attrs) != 0 || len(root.Children) != len(want) {
		t.Fatalf("%s with %d parts, want busconfig with %d", root.XMLName.Local, len(root.Children), len(want))
	}
	for i, p := range root.Children {
		if p.XMLName.Local != "policy" || !reflect.DeepEqual(p.attrs(), want[i].who) {
			t.Fatalf("part %d is <%s> for %v, want a policy for %v", i, p.XMLName.Local, p.attrs(), want[i].who)
		}
		var rules []rule
		for _, r := range p.Children {
			if len(r.Children) != 0 {
				t.Errorf("a rule has parts: %+v", r)
			}
			rules = append(rules, rule{r.XMLName.Local, r.attrs()})
		}
		if !reflect.DeepEqual(rules, want[i].rules) {
			t.Errorf("rules for %v:\n%v\nwant\n%v", p.attrs(), rules, want[i].rules)
		}
	}
}
