package tools

import (
	"errors"
	"fmt"
	"slices"

	"qvmremote/test/sim/qubesd"
)

// settable properties; uuid is write-once in Qubes and state is no property.
var settable = []string{"label", "default_user", "netvm"}

// qvmPrefs is qvm-prefs: it prints one property or all, or sets one.
func qvmPrefs(p place, argv []string) int {
	parser := parser{prog: "qvm-prefs", usage: "[-g | -s] VMNAME [PROPERTY [VALUE]]", anywhere: true, options: []option{
		ignored(false, "-g", "--get"), ignored(false, "-s", "--set"), ignored(false, "--hide-default"),
		ignored(false, "-v", "--verbose"), ignored(false, "-q", "--quiet"),
	}}
	args, err := parser.parse(argv[1:])
	if err == nil && (len(args) < 1 || len(args) > 3) {
		err = errors.New("the following arguments are required: VMNAME")
	}
	if err == nil && args[0] != "dom0" && !p.Exists(args[0]) {
		err = fmt.Errorf("no such domain: %q", args[0])
	}
	if err == nil && len(args) > 1 && !slices.Contains(append([]string{"uuid", "name", "klass"}, settable...), args[1]) {
		err = fmt.Errorf("no such property: %q", args[1])
	}
	if err == nil && len(args) == 3 && (args[0] == "dom0" || !slices.Contains(settable, args[1])) {
		err = fmt.Errorf("property %q cannot be set", args[1])
	}
	if err != nil {
		return parser.fail(err)
	}
	switch len(args) {
	case 3:
		if err := qubesd.Set(p.World, args[0], args[1], args[2]); err != nil {
			return complain("qvm-prefs", err)
		}
		return 0
	case 2:
		fmt.Println(p.preference(args[0], args[1]))
		return 0
	}
	for _, property := range []string{"default_user", "klass", "label", "name", "netvm", "uuid"} {
		fmt.Printf("%-20s -  %s\n", property, p.preference(args[0], property))
	}
	return 0
}

func (p place) preference(qube, property string) string {
	switch {
	case property == "name":
		return qube
	case qube == "dom0":
		return map[string]string{"klass": "AdminVM", "label": "black"}[property]
	case property == "klass":
		property = "class"
	}
	v, _ := p.Property(qube, property)
	return v
}
