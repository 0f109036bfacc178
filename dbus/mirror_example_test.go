package dbus_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"qvmremote/dbus"
)

// An app keeps a mirror and shows what it knows whenever something changed.
func ExampleMirror() {
	ctx := context.Background()
	client, err := dbus.Dial(ctx, "") // the system bus
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer client.Close()
	client.Interactive = true // a person is there to answer polkit
	mirror, err := dbus.NewMirror(ctx, client)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for range mirror.Changed() {
		now := mirror.Snapshot()
		if now.Availability != dbus.Available {
			fmt.Println(now.Why)
			continue
		}
		for _, q := range now.Qubes {
			fmt.Println(q.Name, q.PowerState, q.Connection)
		}
		for _, n := range mirror.TakeNews() {
			if n.Kind == dbus.Added {
				fmt.Println(n.Notice.Seq, n.Notice.Event, n.Notice.Qube)
			}
		}
	}
}

// A program acts on the code of an error and shows its text, which says what
// to do.
func ExampleError() {
	ctx := context.Background()
	client, err := dbus.Dial(ctx, "")
	if err != nil {
		return
	}
	defer client.Close()
	_, err = client.RevokeQube(ctx, "work")
	switch {
	case errors.Is(err, dbus.Err(dbus.NoKey)):
		fmt.Println("it has no key")
	case err != nil:
		fmt.Println(err)
	}
}
