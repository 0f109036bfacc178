package service

import (
	"context"
	"encoding/xml"
	"slices"
	"strings"

	godbus "github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"qvmremote/dbus"
)

// standard are the methods of D-Bus's own interfaces.
type standard struct{ s *Service }

// Get reads one property.
func (o standard) Get(ctx context.Context, c caller, iface, name string) (godbus.Variant, error) {
	all, err := o.GetAll(ctx, c, iface)
	if err != nil {
		return godbus.Variant{}, err
	}
	v, ok := all[name]
	if !ok {
		return v, fail(dbus.NoSuchObject, "%s has no property %s", iface, quoted(name))
	}
	return v, nil
}

// GetAll reads all properties of an interface.
func (o standard) GetAll(_ context.Context, c caller, iface string) (map[string]godbus.Variant, error) {
	if iface == "" {
		iface = dbus.ManagerInterface
		if c.path != dbus.ManagerPath {
			iface = dbus.QubeInterface
		}
		if _, ok := dbus.RequestNumber(c.path); ok {
			iface = dbus.RequestInterface
		}
	}
	p, ok := o.s.objects.now.Load().find(c.path, iface)
	if !ok {
		return nil, fail(dbus.NoSuchObject, "there is no interface %s at %s", quoted(iface), clip(string(c.path)))
	}
	return variants(p), nil
}

// Set refuses: there is a method for every change.
func (o standard) Set(context.Context, caller, string, string, godbus.Variant) error {
	return fail(dbus.ReadOnly, "no property can be written; call a method")
}

// GetManagedObjects are the objects below the manager's with their properties.
func (o standard) GetManagedObjects(_ context.Context, c caller) (map[godbus.ObjectPath]map[string]map[string]godbus.Variant, error) {
	if c.path != dbus.ManagerPath {
		return nil, fail(dbus.NoSuchObject, "ask %s", dbus.ManagerPath)
	}
	all := map[godbus.ObjectPath]map[string]map[string]godbus.Variant{}
	v := o.s.objects.now.Load()
	for name, p := range v.qubes {
		all[dbus.QubePath(name)] = map[string]map[string]godbus.Variant{dbus.QubeInterface: variants(p)}
	}
	for number, p := range v.requests {
		all[dbus.RequestPath(number)] = map[string]map[string]godbus.Variant{dbus.RequestInterface: variants(p)}
	}
	return all, nil
}

var objectManager = introspect.Interface{Name: dbus.ObjectManager,
	Methods: []introspect.Method{{Name: "GetManagedObjects", Args: []introspect.Arg{{Name: "objects", Type: "a{oa{sa{sv}}}", Direction: "out"}}}},
	Signals: []introspect.Signal{
		{Name: "InterfacesAdded", Args: []introspect.Arg{{Name: "object", Type: "o"}, {Name: "interfaces", Type: "a{sa{sv}}"}}},
		{Name: "InterfacesRemoved", Args: []introspect.Arg{{Name: "object", Type: "o"}, {Name: "interfaces", Type: "as"}}},
	}}

var propertiesInterface = introspect.Interface{Name: dbus.Properties,
	Methods: []introspect.Method{
		{Name: "Get", Args: []introspect.Arg{{Name: "interface", Type: "s", Direction: "in"}, {Name: "property", Type: "s", Direction: "in"}, {Name: "value", Type: "v", Direction: "out"}}},
		{Name: "GetAll", Args: []introspect.Arg{{Name: "interface", Type: "s", Direction: "in"}, {Name: "properties", Type: "a{sv}", Direction: "out"}}},
		{Name: "Set", Args: []introspect.Arg{{Name: "interface", Type: "s", Direction: "in"}, {Name: "property", Type: "s", Direction: "in"}, {Name: "value", Type: "v", Direction: "in"}}},
	},
	Signals: []introspect.Signal{{Name: "PropertiesChanged", Args: []introspect.Arg{{Name: "interface", Type: "s"}, {Name: "changed", Type: "a{sv}"}, {Name: "invalidated", Type: "as"}}}}}

// Introspect describes the object at the caller's path, from the same files
// that the service is bound to.
func (o standard) Introspect(_ context.Context, c caller) (string, error) {
	interfaces, err := dbus.Interfaces()
	if err != nil {
		return "", err
	}
	node := introspect.Node{}
	below := childrenOf(c.path, o.s.objects.now.Load())
	_, isQube := dbus.QubeName(c.path)
	if isQube {
		_, isQube = o.s.objects.now.Load().find(c.path, dbus.QubeInterface)
	}
	_, isRequest := o.s.objects.now.Load().find(c.path, dbus.RequestInterface)
	switch {
	case isRequest:
		node.Interfaces = []introspect.Interface{introspect.PeerData, introspect.IntrospectData, propertiesInterface, interfaces[2]}
	case c.path == dbus.ManagerPath:
		node.Interfaces = []introspect.Interface{introspect.PeerData, introspect.IntrospectData, propertiesInterface, objectManager, interfaces[0]}
	case isQube:
		node.Interfaces = []introspect.Interface{introspect.PeerData, introspect.IntrospectData, propertiesInterface, interfaces[1]}
	case len(below) == 0:
		return "", fail(dbus.NoSuchObject, "there is no object %s", clip(string(c.path)))
	default:
		node.Interfaces = []introspect.Interface{introspect.PeerData, introspect.IntrospectData}
	}
	for _, name := range below {
		node.Children = append(node.Children, introspect.Node{Name: name})
	}
	text, err := xml.MarshalIndent(node, "", "  ")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(introspect.IntrospectDeclarationString) + "\n" + string(text), nil
}

// childrenOf lists the names right below path on the way to any object.
func childrenOf(path godbus.ObjectPath, v *view) []string {
	prefix := string(path) + "/"
	if path == "/" {
		prefix = "/"
	}
	var names []string
	add := func(object godbus.ObjectPath) {
		if rest, ok := strings.CutPrefix(string(object), prefix); ok && rest != "" {
			name, _, _ := strings.Cut(rest, "/")
			names = append(names, name)
		}
	}
	add(dbus.ManagerPath)
	for name := range v.qubes {
		add(dbus.QubePath(name))
	}
	for number := range v.requests {
		add(dbus.RequestPath(number))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
