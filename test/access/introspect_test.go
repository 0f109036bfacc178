package access

import (
	"context"
	"encoding/xml"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	godbus "github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"qvmremote/dbus"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestIntrospection: each object describes itself as the golden files say. Who
// changes what clients see changes a file that somebody reads.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	m := newMachine(t, false)
	m.ask("AuthorizeQubeWithString", "work", string(m.keyIn("work").Reveal()), noOptions)
	for name, path := range map[string]godbus.ObjectPath{
		"root": "/", "above": "/org", "manager": dbus.ManagerPath, "qubes": dbus.ManagerPath + "/qube", "qube": dbus.QubePath("work"),
	} {
		var got string
		if err := m.conn.Object(dbus.Name, path).Call(dbus.Introspectable+".Introspect", 0).Store(&got); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		golden := filepath.Join("testdata", name+".xml")
		if *update {
			must(t, os.WriteFile(golden, []byte(got+"\n"), 0o644))
		}
		want, err := os.ReadFile(golden)
		must(t, err)
		if got+"\n" != string(want) {
			t.Errorf("%s differs from %s (go test ./test/access -run TestIntrospection -update):\n%s", path, golden, got)
		}
	}
	for _, path := range []godbus.ObjectPath{"/org/qvmremote1/qube/personal", "/org/qvmremote1/nothing", "/etc"} {
		err := m.conn.Object(dbus.Name, path).Call(dbus.Introspectable+".Introspect", 0).Err
		if name := errorName(err); name != dbus.NoSuchObject.Name() {
			t.Errorf("%s, which is not there: %v", path, err)
		}
	}
	m.introspectedByBusctl()
}

// introspectedByBusctl: the tool that people look with shows every member.
func (m *machine) introspectedByBusctl() {
	m.t.Helper()
	interfaces, err := dbus.Interfaces()
	must(m.t, err)
	for path, i := range map[godbus.ObjectPath]introspect.Interface{dbus.ManagerPath: interfaces[0], dbus.QubePath("work"): interfaces[1]} {
		cmd := exec.CommandContext(m.context(), "busctl", "--no-pager", "--full", "introspect", dbus.Name, string(path))
		cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+m.bus.Address)
		out, err := cmd.CombinedOutput()
		if err != nil {
			m.t.Fatalf("busctl introspect %s: %v\n%s", path, err, out)
		}
		for _, name := range membersOf(i) {
			if !strings.Contains(string(out), "\n."+name+" ") {
				m.t.Errorf("busctl introspect %s does not show %s", path, name)
			}
		}
	}
}

func membersOf(i introspect.Interface) (names []string) {
	for _, m := range i.Methods {
		names = append(names, m.Name)
	}
	for _, p := range i.Properties {
		names = append(names, p.Name)
	}
	for _, s := range i.Signals {
		names = append(names, s.Name)
	}
	return names
}

// TestPropertiesAreThoseDescribed: GetAll and GetManagedObjects give each
// described property with its type, and no other.
func TestPropertiesAreThoseDescribed(t *testing.T) {
	t.Parallel()
	m := newMachine(t, false)
	m.ask("AuthorizeQubeWithString", "work", string(m.keyIn("work").Reveal()), noOptions)
	interfaces, err := dbus.Interfaces()
	must(t, err)
	for path, i := range map[godbus.ObjectPath]introspect.Interface{dbus.ManagerPath: interfaces[0], dbus.QubePath("work"): interfaces[1]} {
		call := m.conn.Object(dbus.Name, path).Call(dbus.Properties+".GetAll", 0, i.Name)
		must(t, call.Err)
		all, _ := call.Body[0].(map[string]godbus.Variant) // Store would forget the types of empty lists
		if want, got := describedProperties(i), types(all); !reflect.DeepEqual(got, want) {
			t.Errorf("%s has %v, described are %v", path, got, want)
		}
	}
	call := manager(m.conn).Call(dbus.ObjectManager+".GetManagedObjects", 0)
	must(t, call.Err)
	objects, _ := call.Body[0].(map[godbus.ObjectPath]map[string]map[string]godbus.Variant)
	if len(objects) != 1 {
		t.Errorf("objects: %v", objects)
	}
	if want, got := describedProperties(interfaces[1]), types(objects[dbus.QubePath("work")][dbus.QubeInterface]); !reflect.DeepEqual(got, want) {
		t.Errorf("managed: %v, described are %v", got, want)
	}
}

func describedProperties(i introspect.Interface) map[string]string {
	all := map[string]string{}
	for _, p := range i.Properties {
		all[p.Name] = p.Type
	}
	return all
}

func types(values map[string]godbus.Variant) map[string]string {
	all := map[string]string{}
	for name, v := range values {
		all[name] = v.Signature().String()
	}
	return all
}

// TestGoldenFilesAreXML: what is compared is also well-formed.
func TestGoldenFilesAreXML(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.xml")
	must(t, err)
	if len(files) != 5 {
		t.Errorf("golden files: %q", files)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		if err := xml.Unmarshal(text, &introspect.Node{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// context ends long before the test does.
func (m *machine) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	m.t.Cleanup(cancel)
	return ctx
}
