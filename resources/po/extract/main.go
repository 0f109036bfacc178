// Command extract writes the messages of the desktop programs to its standard
// output, as a template for gettext's tools. It is started in the repository's
// root.
package main

import (
	"fmt"
	"os"

	"qvmremote/resources/po"
)

func main() {
	list, err := po.Messages(".")
	if err == nil {
		err = po.Write(os.Stdout, list)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "extract:", err)
		os.Exit(1)
	}
}
