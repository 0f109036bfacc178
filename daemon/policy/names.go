package policy

import "strings"

// seenThrough are the builtins of bash that do to the commands after them, and
// with their own words, what any program could: nothing but what they are
// named for. Every other builtin may change what a later word means or run
// something itself, so a request with one is a script. Each has its reason:
//
//   - printf sets variables (-v, %n), test and [ evaluate what stands between
//     brackets (-v), read, mapfile and getopts fill variables, PATH among them;
//   - cd, pushd and umask change what the commands after them work on;
//   - command, builtin, exec, eval, source, trap, fc, bind and compgen run words;
//   - alias, enable, hash, set, shopt, declare, export, unset and their like
//     change what a word runs.
var seenThrough = map[string]bool{":": true, "echo": true, "exit": true, "false": true, "kill": true, "pwd": true, "true": true}

// opaque are the words that bash does not look up as a program, of
// [seenThrough] none. A test compares them with bash's own lists.
var opaque = wordSet(`
. [ alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs disown enable eval
exec export fc fg getopts hash help history jobs let local logout mapfile popd printf pushd read readarray readonly
return set shift shopt source suspend test times trap type typeset ulimit umask unalias unset wait
! [[ ]] { } case coproc do done elif else esac fi for function if in select then time until while`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// unseen says why nobody can tell from the words what the command does; "" if
// one can.
func unseen(words []string) string {
	name := words[0]
	switch {
	case opaque[name]:
		return "'" + name + "' (the shell's own, which can change or run anything)"
	case !nameOfProgram(name):
		return "a command whose name has other characters than letters, digits and _ - . / +"
	}
	return ""
}

func nameOfProgram(name string) bool {
	if seenThrough[name] {
		return true
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '/' || c == '.'
		if !letter && (i == 0 || c != '-' && c != '+') {
			return false
		}
	}
	return name != ""
}
