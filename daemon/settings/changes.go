package settings

import "fmt"

// Changes says how now differs from old, one change an element, such as
// "QVM_REMOTE_CONCURRENT: 8 -> 4", in the order of [Table].
func Changes(old, now Settings) []string {
	var list []string
	for _, d := range Table() {
		if was, is := d.In(old), d.In(now); was != is {
			list = append(list, fmt.Sprintf("%s: %s -> %s", d.Name, orNothing(was), orNothing(is)))
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
