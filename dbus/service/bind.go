package service

import (
	"context"
	"fmt"
	"reflect"

	godbus "github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"qvmremote/dbus"
	"qvmremote/dbus/gate"
)

// long lists the methods that talk to qubes, systemd or a person, or read the
// whole audit log.
var long = map[string]bool{
	"AuthorizeQube": true, "AuthorizeQubeWithString": true, "GenerateKey": true, "FetchKey": true, "ConnectQube": true, "DisconnectQube": true,
	"RotateKey": true, "RotateKeyWithString": true, "RevokeQube": true, "CancelRotation": true, "LimitQube": true, "SetPolicy": true,
	"Start": true, "Stop": true, "Restart": true, "StopEverything": true, "EnableAtBoot": true, "DisableAtBoot": true,
	"VerifyAudit": true, "ExportAudit": true, "CountCommands": true, "Doctor": true, "AvailableQubes": true,
	"ShutDown": true, "QueueStatus": true, "QueueEntries": true, "CleanQueue": true, "RecoverQueue": true,
}

// reads lists the methods whose answers may hold much of the audit log, and
// scans those that go through all of it.
var (
	reads = map[string]bool{"QueryAudit": true, "ExportAuditText": true, "CountCommands": true}
	scans = map[string]bool{"VerifyAudit": true, "ExportAudit": true}
)

// bind holds the Go methods to the interface: each described method must have
// one of exactly these types, and there is none besides. It returns the gate's
// table.
func (s *Service) bind() (gate.Table, error) {
	table := gate.Table{
		{Interface: dbus.Introspectable, Name: "Introspect"}:       gate.Open,
		{Interface: dbus.Properties, Name: "Get"}:                  gate.Open,
		{Interface: dbus.Properties, Name: "GetAll"}:               gate.Open,
		{Interface: dbus.Properties, Name: "Set"}:                  gate.Open, // it refuses
		{Interface: dbus.ObjectManager, Name: "GetManagedObjects"}: gate.Open,
	}
	s.methods = map[gate.Member]*method{}
	for member := range table {
		if err := s.bindOne(standard{s}, member, nil); err != nil {
			return nil, err
		}
	}
	interfaces, err := dbus.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, iface := range interfaces {
		var receiver any = manager{s}
		switch iface.Name {
		case dbus.QubeInterface:
			receiver = qube{s}
		case dbus.RequestInterface:
			receiver = request{s}
		}
		if n := reflect.TypeOf(receiver).NumMethod(); n != len(iface.Methods) {
			return nil, fmt.Errorf("%s describes %d methods, the service has %d", iface.Name, len(iface.Methods), n)
		}
		for _, described := range iface.Methods {
			member := gate.Member{Interface: iface.Name, Name: described.Name}
			if err := s.bindOne(receiver, member, &described); err != nil {
				return nil, err
			}
			if action := dbus.Action(described); action != "" {
				table[member] = action
			}
		}
	}
	return table, nil
}

var errorType = reflect.TypeOf((*error)(nil)).Elem()

// bindOne finds the Go method of that name and compares its types with the
// description, where there is one.
func (s *Service) bindOne(receiver any, member gate.Member, described *introspect.Method) error {
	fn := reflect.ValueOf(receiver).MethodByName(member.Name)
	if !fn.IsValid() {
		return fmt.Errorf("%s.%s is described and not there", member.Interface, member.Name)
	}
	t := fn.Type()
	if t.NumIn() < 2 || t.In(0) != reflect.TypeFor[context.Context]() || t.In(1) != reflect.TypeFor[caller]() ||
		t.NumOut() < 1 || t.Out(t.NumOut()-1) != errorType {
		return fmt.Errorf("%s.%s is not of the form that a method needs", member.Interface, member.Name)
	}
	var in, out string
	for i := 2; i < t.NumIn(); i++ {
		in += godbus.SignatureOfType(t.In(i)).String()
	}
	for i := range t.NumOut() - 1 {
		out += godbus.SignatureOfType(t.Out(i)).String()
	}
	if described != nil {
		var wantIn, wantOut string
		for _, a := range described.Args {
			if a.Direction == "out" {
				wantOut += a.Type
			} else {
				wantIn += a.Type
			}
		}
		if in != wantIn || out != wantOut {
			return fmt.Errorf("%s.%s takes %q and gives %q, described are %q and %q", member.Interface, member.Name, in, out, wantIn, wantOut)
		}
	}
	sig, err := godbus.ParseSignature(in)
	if err != nil {
		return fmt.Errorf("%s.%s: %w", member.Interface, member.Name, err)
	}
	s.methods[member] = &method{fn: fn, in: sig, long: long[member.Name], reads: reads[member.Name], scans: scans[member.Name]}
	return nil
}
