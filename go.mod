module qvmremote

go 1.24.0

require (
	filippo.io/age v1.2.1
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/fsnotify/fsnotify v1.10.1
	github.com/godbus/dbus/v5 v5.2.4
	github.com/leonelquinteros/gotext v1.7.2
	github.com/spf13/cobra v1.10.2
	golang.org/x/mod v0.33.0
	golang.org/x/sys v0.41.0
	golang.org/x/term v0.40.0
	mvdan.cc/sh/v3 v3.12.0
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	golang.org/x/crypto v0.48.0 // indirect
	golang.org/x/sync v0.19.0 // indirect
	golang.org/x/tools v0.41.0 // indirect
)

// for the desktop programs only, which need the build tag gtk
require (
	github.com/diamondburned/gotk4-adwaita/pkg v0.0.0-20230307040502-bfe82926e1be
	github.com/diamondburned/gotk4/pkg v0.2.2
)

// The bindings are put together by `make gotk4`; docs/gotk4.md says why.
replace github.com/diamondburned/gotk4/pkg => ./build/gotk4

// for tests only
require (
	github.com/google/go-cmp v0.7.0
	github.com/rogpeppe/go-internal v1.14.1
	pgregory.net/rapid v1.3.0
)
