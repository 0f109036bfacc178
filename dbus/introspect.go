package dbus

import (
	"embed"
	"encoding/xml"
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5/introspect"
)

//go:embed *.xml
var files embed.FS

// ActionAnnotation is the annotation of a method that names the polkit action
// which allows it, or is "open" for all whom the bus lets through.
const ActionAnnotation = "org.qvmremote1.Action"

// Interfaces are org.qvmremote1's interfaces as the XML files describe them,
// without the documentation. The caller must not change them.
var Interfaces = sync.OnceValues(func() ([]introspect.Interface, error) {
	var all []introspect.Interface
	for _, name := range []string{ManagerInterface, QubeInterface, RequestInterface} {
		text, err := files.ReadFile(name + ".xml")
		if err != nil {
			return nil, err
		}
		var node introspect.Node
		if err := xml.Unmarshal(text, &node); err != nil {
			return nil, fmt.Errorf("cannot read the interface %s: %w", name, err)
		}
		if len(node.Interfaces) != 1 || node.Interfaces[0].Name != name {
			return nil, fmt.Errorf("%s.xml does not describe that interface alone", name)
		}
		all = append(all, node.Interfaces[0])
	}
	return all, nil
})

// Source is the XML of one interface with its documentation.
func Source(iface string) ([]byte, error) { return files.ReadFile(iface + ".xml") }

// Action is the polkit action that a method is annotated with; "" when it has
// none, which allows nobody.
func Action(m introspect.Method) string {
	for _, a := range m.Annotations {
		if a.Name == ActionAnnotation {
			return a.Value
		}
	}
	return ""
}
