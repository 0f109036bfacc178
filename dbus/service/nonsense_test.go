package service

import (
	"math"
	"reflect"
	"strings"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
)

// goodKey is of the right form.
var goodKey = strings.Repeat("0123456789abcdef", 4)

type opts map[string]godbus.Variant

func option(name string, value any) opts { return opts{name: godbus.MakeVariant(value)} }

// none are no options.
var none = opts{}

// nonsense are calls of the manager that nobody should make, and their errors.
var nonsense = []struct {
	name, method string
	args         []any
	want         dbus.Code
}{
	{"an argument too many", "Subscribe", []any{"x"}, dbus.InvalidArgument},
	{"an argument too few", "GetRecord", nil, dbus.InvalidArgument},
	{"a number as text", "GetRecord", []any{"1"}, dbus.InvalidArgument},
	{"a signed number", "GetRecord", []any{int64(-1)}, dbus.InvalidArgument},
	{"a number of another size", "GetRecord", []any{uint32(1)}, dbus.InvalidArgument},
	{"the argument in a variant", "GetRecord", []any{godbus.MakeVariant(uint64(1))}, dbus.InvalidArgument},
	{"arguments in a structure", "GetRecord", []any{struct{ N uint64 }{1}}, dbus.InvalidArgument},
	{"a path for a name", "RevokeQube", []any{godbus.ObjectPath("/work"), none}, dbus.InvalidArgument},
	{"a number for a descriptor", "ExportAudit", []any{uint32(1), "jsonl"}, dbus.InvalidArgument},
	{"another dictionary", "RevokeQube", []any{"work", map[string]string{}}, dbus.InvalidArgument},

	{"1 MiB of name", "RevokeQube", []any{strings.Repeat("a", 1<<20), none}, dbus.InvalidArgument},
	{"24 MiB of name", "FetchKey", []any{strings.Repeat("a", 24<<20)}, dbus.InvalidArgument},
	{"100 KiB of name", "FetchKey", []any{strings.Repeat("a", 100<<10)}, dbus.NoSuchQube},
	{"100 KiB of key", "AuthorizeQubeWithString", []any{"work", strings.Repeat("a", 100<<10), none}, dbus.InvalidKey},
	{"an endless signature", "Subscribe", []any{nest(30)}, dbus.InvalidArgument},

	{"no name", "AuthorizeQubeWithString", []any{"", goodKey, none}, dbus.NoSuchQube},
	{"a name that leads elsewhere", "AuthorizeQubeWithString", []any{"../../etc/passwd", goodKey, none}, dbus.NoSuchQube},
	{"a name that is an option", "AuthorizeQubeWithString", []any{"--help", goodKey, none}, dbus.NoSuchQube},
	{"a name with a line's end", "AuthorizeQubeWithString", []any{"work\nroot", goodKey, none}, dbus.NoSuchQube},
	{"dom0", "AuthorizeQubeWithString", []any{"dom0", goodKey, none}, dbus.NoSuchQube},
	{"a qube that is not there", "AuthorizeQubeWithString", []any{"nobody", goodKey, none}, dbus.NoSuchQube},
	{"a key of no digits", "AuthorizeQubeWithString", []any{"work", "key", none}, dbus.InvalidKey},
	{"a second key where none is", "RotateKeyWithString", []any{"work", goodKey}, dbus.NoKey},
	{"no rotation to cancel", "CancelRotation", []any{"work"}, dbus.NoKey},
	{"a key of a qube that is off", "GenerateKey", []any{"work", none}, dbus.QubeNotRunning},
	{"a key from a qube that is off", "FetchKey", []any{"work"}, dbus.QubeNotRunning},

	{"an option nobody knows", "AuthorizeQubeWithString", []any{"work", goodKey, option("force", true)}, dbus.InvalidArgument},
	{"an option of another kind", "AuthorizeQubeWithString", []any{"work", goodKey, option("replace", "yes")}, dbus.InvalidArgument},
	{"an option that is a number", "AuthorizeQubeWithString", []any{"work", goodKey, option("replace", uint32(1))}, dbus.InvalidArgument},
	{"an option where there is none", "RevokeQube", []any{"work", option("connect", true)}, dbus.InvalidArgument},

	{"a risk that nobody accepts", "EnableAtBoot", []any{false}, dbus.RiskNotAccepted},
	{"a start without systemd", "Start", nil, dbus.NoSystemd},
	{"a stop without systemd", "Stop", nil, dbus.NoSystemd},
	{"a boot without systemd", "EnableAtBoot", []any{true}, dbus.NoSystemd},

	{"the record before all", "GetRecord", []any{uint64(math.MaxUint64)}, dbus.InvalidArgument},
	{"a record far ahead", "GetRecord", []any{uint64(1 << 61)}, dbus.NoSuchRecord},
	{"a command far ahead", "CancelCommand", []any{uint64(math.MaxUint64)}, dbus.NoSuchCommand},
	{"a page of nothing", "QueryAudit", []any{none, uint64(0), uint32(0)}, dbus.InvalidArgument},
	{"a page of everything", "QueryAudit", []any{none, uint64(0), uint32(math.MaxUint32)}, dbus.InvalidArgument},
	{"a filter nobody knows", "QueryAudit", []any{option("regexp", "("), uint64(0), uint32(10)}, dbus.InvalidArgument},
	{"a filter of another kind", "QueryAudit", []any{option("qube", []string{"work"}), uint64(0), uint32(10)}, dbus.InvalidArgument},
	{"a filter of a descriptor's number", "QueryAudit", []any{option("qube", godbus.UnixFDIndex(0)), uint64(0), uint32(10)}, dbus.InvalidArgument},
	{"a filter with a long word", "QueryAudit", []any{option("text", strings.Repeat("a", 2000)), uint64(0), uint32(10)}, dbus.InvalidArgument},
	{"a filter with a time that is none", "QueryAudit", []any{option("since", uint64(math.MaxUint64)), uint64(0), uint32(10)}, dbus.InvalidArgument},
	{"spans of nothing", "CountCommands", []any{uint64(1), uint64(100), uint32(0), ""}, dbus.InvalidArgument},
	{"too many spans", "CountCommands", []any{uint64(1), uint64(1 << 39), uint32(1), ""}, dbus.InvalidArgument},
	{"one span too many", "CountCommands", []any{uint64(1), uint64(1002), uint32(1), ""}, dbus.InvalidArgument},
	{"no time at all", "CountCommands", []any{uint64(5), uint64(5), uint32(1), ""}, dbus.InvalidArgument},
	{"time that runs back", "CountCommands", []any{uint64(100), uint64(1), uint32(1), ""}, dbus.InvalidArgument},
	{"a time that is none", "CountCommands", []any{uint64(math.MaxUint64 - 1), uint64(math.MaxUint64), uint32(1), ""}, dbus.InvalidArgument},
	{"spans of a qube that cannot be", "CountCommands", []any{uint64(1), uint64(100), uint32(1), "../x"}, dbus.InvalidArgument},
	{"a checkpoint that is none", "VerifyAudit", []any{[]string{strings.Repeat("a", 2000)}}, dbus.InvalidArgument},
	{"more checkpoints than anybody has", "VerifyAudit", []any{make([]string, 2000)}, dbus.InvalidArgument},
	{"a piece from the end of numbers", "ExportAuditText", []any{uint64(math.MaxUint64), uint32(10)}, dbus.InvalidArgument},
	{"a piece of nothing", "ExportAuditText", []any{uint64(0), uint32(0)}, dbus.InvalidArgument},
}

// nest is an array in an array in an array.
func nest(depth int) any {
	t := reflect.TypeFor[byte]()
	for range depth {
		t = reflect.SliceOf(t)
	}
	return reflect.MakeSlice(t, 0, 0).Interface()
}

// TestNonsenseIsNamed: every call has an error with the name of what is wrong,
// and then all is as it was.
func TestNonsenseIsNamed(t *testing.T) {
	w := newWorld(t)
	w.manage()
	c := w.client()
	for _, n := range []struct {
		method string
		args   []any
	}{{"AuthorizeQubeWithString", []any{"work", goodKey, none}}, {"RevokeQube", []any{"work", none}}} { // the log and its folders are there now
		if _, code := c.call(n.method, n.args...); code != "" {
			t.Fatal(n.method, code)
		}
	}
	w.until("all five records were seen", func() bool { return c.property("AuditHead").(uint64) == 5 })
	head := c.property("AuditHead")
	before, code := c.at(dbus.ManagerPath, dbus.ObjectManager+".GetManagedObjects")
	if code != "" {
		t.Fatal(code)
	}
	files, check := w.tree(), w.noLeak()
	for _, n := range nonsense {
		if _, got := c.call(n.method, n.args...); got != string(n.want) {
			t.Errorf("%s (%s): %q, not %s", n.name, n.method, got, n.want)
		}
	}
	check()
	if after, _ := c.at(dbus.ManagerPath, dbus.ObjectManager+".GetManagedObjects"); !reflect.DeepEqual(before, after) {
		t.Errorf("the objects were %v and are %v", before, after)
	}
	if now := w.tree(); !reflect.DeepEqual(files, now) {
		t.Errorf("the files were %q and are %q", files, now)
	}
	if now := c.property("AuditHead"); now != head {
		t.Errorf("there were %v records and are %v", head, now)
	}
	if s := c.property("State"); s != dbus.Stopped {
		t.Errorf("the state is %q", s)
	}
}

// TestWhatIsNotThere: members, interfaces, objects and properties.
func TestWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.manage()
	c := w.client()
	check := w.noLeak()
	const get = dbus.Properties + ".Get"
	for _, n := range []struct {
		path   godbus.ObjectPath
		method string
		args   []any
		want   dbus.Code
	}{
		{dbus.ManagerPath, dbus.ManagerInterface + ".Destroy", nil, dbus.NoSuchObject},
		{dbus.ManagerPath, "org.qvmremote2.Manager.Start", nil, dbus.NoSuchObject},
		{dbus.ManagerPath, dbus.QubeInterface + ".QueueStatus", nil, dbus.NoSuchObject},
		{dbus.ManagerPath, "Start", nil, dbus.NoSuchObject},
		{dbus.ManagerPath, "Ping", nil, dbus.NoSuchObject},
		{dbus.ManagerPath, "org.freedesktop.DBus.ReleaseName", []any{dbus.Name}, dbus.NoSuchObject},
		{"/", dbus.ManagerInterface + ".Subscribe", nil, dbus.NoSuchObject},
		{"/org/qvmremote1/qube/work", dbus.ManagerInterface + ".Subscribe", nil, dbus.NoSuchObject},
		{"/org/qvmremote1/qube/work", dbus.QubeInterface + ".QueueStatus", nil, dbus.NoSuchObject},
		{"/org/qvmremote1/qube/_2e_2e_2f", dbus.QubeInterface + ".CleanQueue", []any{true}, dbus.NoSuchObject},
		{"/org/qvmremote1/qube/_2", dbus.QubeInterface + ".QueueEntries", nil, dbus.NoSuchObject},
		{godbus.ObjectPath("/" + strings.Repeat("a", 100<<10)), dbus.ManagerInterface + ".Start", nil, dbus.NoSuchObject},
		{"/none", dbus.Introspectable + ".Introspect", nil, dbus.NoSuchObject},
		{"/none", dbus.ObjectManager + ".GetManagedObjects", nil, dbus.NoSuchObject},
		{dbus.ManagerPath, get, []any{dbus.ManagerInterface, "Keys"}, dbus.NoSuchObject},
		{dbus.ManagerPath, get, []any{dbus.QubeInterface, "Name"}, dbus.NoSuchObject},
		{"/none", get, []any{"", "State"}, dbus.NoSuchObject},
		{dbus.ManagerPath, dbus.Properties + ".Set", []any{dbus.ManagerInterface, "State", godbus.MakeVariant("running")}, dbus.ReadOnly},
		{dbus.ManagerPath, dbus.Properties + ".Set", []any{"x", "y", godbus.MakeVariant(0)}, dbus.ReadOnly},
		{dbus.ManagerPath, dbus.Properties + ".Set", []any{dbus.ManagerInterface, "State", "running"}, dbus.InvalidArgument},
	} {
		if _, got := c.at(n.path, n.method, n.args...); got != string(n.want) {
			t.Errorf("%.60s at %.60s: %q, not %s", n.method, n.path, got, n.want)
		}
	}
	check()
}
