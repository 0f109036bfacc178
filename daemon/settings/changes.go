package settings

import (
	"fmt"
	"strings"
)

// Changes says how now differs from old, one change an element, such as
// "QVM_REMOTE_CONCURRENT: 8 -> 4", in the order of [Table].
func Changes(old, now Settings) []string {
	var list []string
	add := func(name, was, is string) {
		if was != is {
			list = append(list, fmt.Sprintf("%s: %s -> %s", name, orNothing(was), orNothing(is)))
		}
	}
	add("QVM_REMOTE_VMS", strings.Join(old.VMs, " "), strings.Join(now.VMs, " "))
	add("QVM_REMOTE_VM_USER", old.VMUser, now.VMUser)
	for _, d := range Table() {
		if d.field != nil {
			add(d.Name, fmt.Sprint(*d.field(&old)), fmt.Sprint(*d.field(&now)))
		}
	}
	return list
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
