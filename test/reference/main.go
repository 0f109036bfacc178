// Command reference writes the part of docs/dbus.md that follows from files:
// the interfaces, the errors, and what polkit is asked.
//
// It guarantees that what it writes says all that dbus/*.xml, dbus.Codes and
// the polkit policy say, in their words; it adds none about single members. Its
// tests hold the document to it, and the files to being complete.
package main

import (
	"fmt"
	"os"
	"strings"
)

const (
	document   = "docs/dbus.md"
	policyFile = "packaging/polkit/org.qvmremote1.policy"

	// marker is the line in the document that ends what people write.
	marker = "<!-- What follows is made from dbus/*.xml and others by `make docs`. -->\n"
)

// main runs in the repository's root.
func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func write() error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	text, err := renewed(string(old), policyFile)
	if err != nil {
		return err
	}
	return os.WriteFile(document, []byte(text), 0o644)
}

// renewed is the document with the generated part as it must be.
func renewed(text, policyFile string) (string, error) {
	head, _, found := strings.Cut(text, marker)
	if !found {
		return "", fmt.Errorf("%s has lost the line %q", document, strings.TrimSpace(marker))
	}
	interfaces, err := readInterfaces()
	if err != nil {
		return "", err
	}
	policy, err := os.ReadFile(policyFile)
	if err != nil {
		return "", err
	}
	actions, err := readActions(policy)
	if err != nil {
		return "", err
	}
	return head + marker + reference(interfaces, actions), nil
}
