# What can be done with this repository; `make help` lists it. Scripts that do
# more than one line's work are in .ci/ and packaging/setup/.

GO          ?= go
FLOOR       := go1.24.10
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME    ?= 10s
BUILD       := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w"

# The one set of flags for whatever imports the bindings to GTK: another one
# compiles all of them again, which takes minutes (docs/gotk4.md).
GTK      := -tags gtk -trimpath -buildvcs=false
GTK_DIRS := ./ui/... ./gui/... ./resources/... ./cmd/qvm-remote-admin/... ./cmd/qvm-remote-gui/... ./test/gui/... ./test/desktop/... ./test/living/... ./test/stage/...
GRESOURCE := resources/qvm-remote.gresource

# -count=1: the end-to-end tests build and run programs, of which go's cache of
# test results knows nothing.
# make lint vets.
TEST := $(GO) test -count=1 -vet=off

# Test programs start themselves again as tools and daemons; under the race
# detector each would wait a second at its end for reports of other goroutines.
export GORACE := atexit_sleep_ms=20 $(GORACE)

# Folders whose tests stop the daemon at its crash points. Those points are in
# no normal build, so these tests run with their tag, once more.
CRASH := $(shell grep -rlE '^//go:build.*crashpoints' --include='*_test.go' . 2>/dev/null | xargs -r -n1 dirname | sort -u)

.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-gui setup-system build build-gui gotk4 resources catalogues po demo demo-gui screenshots \
	test test-core test-crash test-transports test-qrexec test-poll test-gui test-system model floor lint vuln docs bench bench-gui fuzz cover size install-dom0 uninstall-dom0 install-admin uninstall-admin install-gui uninstall-gui clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what building and the demo need (asks first when not root)
	@packaging/setup/prerequisites demo

setup-test: ## install what the tests need as well (asks first when not root)
	@packaging/setup/prerequisites test

setup-gui: ## install what building and showing the desktop program needs
	@packaging/setup/prerequisites gui

setup-system: ## install what test-system needs (asks first when not root)
	@packaging/setup/prerequisites system

build: ## build bin/qvm-remote and bin/qvm-remote-dom0, static and without cgo
	$(BUILD) -o bin/qvm-remote ./cmd/qvm-remote
	$(BUILD) -o bin/qvm-remote-dom0 ./cmd/qvm-remote-dom0

gotk4: ## put the bindings to GTK together in build/gotk4
	@GO=$(GO) packaging/gotk4/assemble

resources: $(GRESOURCE) ## compile the views, styles and icons of the desktop programs

$(GRESOURCE): resources/qvm-remote.gresource.xml $(shell find resources -name '*.ui' -o -name '*.css' -o -name '*.svg')
	glib-compile-resources --sourcedir=resources --target=$@ $<

build-gui: gotk4 resources catalogues ## build bin/qvm-remote-admin and bin/qvm-remote-gui, which need GTK 4.8 and libadwaita 1.2
	CC=clang $(GO) build $(GTK) -ldflags "-s -w" -o bin/ ./cmd/qvm-remote-admin ./cmd/qvm-remote-gui

# Each program has a catalogue of its own name, so that packages share no file.
catalogues: ## compile the translations of the desktop programs into share/locale
	@set -e; for po in resources/po/*.po; do \
		to="$(CATALOGUES)/$$(basename "$$po" .po)/LC_MESSAGES"; install -d "$$to"; \
		msgfmt -o "$$to/qvm-remote-admin.mo" "$$po"; cp "$$to/qvm-remote-admin.mo" "$$to/qvm-remote-gui.mo"; done

po: ## bring the translations in resources/po up to what the programs say now
	@install -d build
	$(GO) run ./resources/po/extract >build/messages.pot
	for po in resources/po/*.po; do msgmerge --quiet --update --backup=none --no-fuzzy-matching --no-location --sort-output "$$po" build/messages.pot || exit; done

demo: setup build ## show the main job in a simulated dom0 with two qubes
	@GO=$(GO) test/demo/demo.sh

demo-gui: setup-gui build build-gui ## show both desktop programs on a simulated dom0 with life in it
	@GO=$(GO) test/demo/demo-gui.sh

screenshots: setup-test build build-gui ## render every page and dialog into build/screenshots, as root with GTK 4.18 too
	$(GO) run ./test/gui/screenshots build/screenshots

test: setup-test test-core test-transports test-gui ## set up and run every test

# The packages are tested with the oldest Go that must do, and their coverage with
# them: once for all three. The suites below test/ start whole programs, which are
# built without the race detector, with the Go at hand.
test-core: ## run every test that needs no GTK, then the crash tests
	@$(MAKE) --no-print-directory cover
	$(TEST) ./test/...
	@$(MAKE) --no-print-directory test-crash

# The end-to-end tests of test-core go by one long qvm-run. SHORT= runs all of them
# by the other two as well, those too of what lies behind every transport.
SHORT ?= -short
test-transports: ## run both of the next two beside each other
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-qrexec test-poll

# Beside each other, and more tests at a time than there are processors: polled
# qubes mostly wait for the next look.
test-qrexec: ## run the end-to-end tests by qrexec-client
	E2E_TRANSPORT=qrexec $(TEST) $(SHORT) -parallel 4 ./test/e2e

test-poll: ## run the end-to-end tests by polling
	E2E_TRANSPORT=poll GOTOOLCHAIN=$(FLOOR) $(TEST) $(SHORT) -parallel 8 ./test/e2e

test-gui: build gotk4 resources ## run the tests of the desktop program, on a screen of their own
	CC=clang $(GO) vet $(GTK) $(GTK_DIRS)
	CC=clang $(GO) vet $(GTK:gtk=gtk,frames) ./gui/admin ./gui/client ./gui/frames
	CC=clang $(TEST) -timeout 20m $(GTK) $(GTK_DIRS)

# Below daemon/ the tests that crash have Crash in their names; the others ran.
test-crash: ## stop the daemon at each of its crash points and start it again
ifneq ($(CRASH),)
	$(TEST) -tags crashpoints -run Crash $(filter ./daemon/%,$(CRASH))
	$(TEST) -tags crashpoints $(filter-out ./daemon/%,$(CRASH))
else
	@echo "no crash tests in this tree"
endif

test-system: setup-system ## boot Debian in a container, as root, and test what is installed there
	$(TEST) -v -tags system -timeout 30m ./test/system

model: ## check the model of the queue in docs/model with spin
	@docs/model/check

# What is run with that Go is the tests of cover, and the end-to-end tests by
# polling, in test-transports.
floor: ## vet with the oldest Go that must do
	GOTOOLCHAIN=$(FLOOR) $(GO) vet ./...

lint: ## gofmt, vet, staticcheck, and shellcheck where it is installed
	@GO=$(GO) STATICCHECK=$(STATICCHECK) GTK_DIRS='$(GTK_DIRS)' .ci/lint

vuln: ## ask the Go vulnerability database about our dependencies (network)
	$(GO) run $(GOVULNCHECK) ./...

docs: ## write the reference in docs/dbus.md anew
	$(GO) run ./test/reference

bench: ## measure service and client, print a table and write it into docs/benchmarks.md
	$(GO) run ./test/bench

bench-gui: gotk4 resources ## the same of the desktop program; fails where a limit is not kept
	$(GO) run ./test/gui/bench

fuzz: ## run each fuzz target for FUZZTIME (10s)
	@GO=$(GO) .ci/fuzz $(FUZZTIME)

cover: ## test the packages with the race detector and the oldest Go; queue/, daemon/ and dbus/ are covered by 85 %
	@GOTOOLCHAIN=$(FLOOR) GO=$(GO) .ci/cover 85 queue daemon dbus

size: build ## check that both programs are static and at most 12 MiB
	@.ci/size 12 bin/qvm-remote bin/qvm-remote-dom0

# What a package puts into dom0. PROGRAMS and CATALOGUES are where the programs and
# their translations were built.
DESTDIR  ?=
PREFIX   ?= /usr
PROGRAMS ?= bin
CATALOGUES ?= share/locale
bindir   := $(DESTDIR)$(PREFIX)/bin
unitdir  := $(DESTDIR)$(PREFIX)/lib/systemd/system
datadir  := $(DESTDIR)$(PREFIX)/share
appdir   := $(datadir)/applications
mandir   := $(datadir)/man
icondir  := $(datadir)/icons/hicolor
ADMIN    := org.qvmremote.Admin
INSTALL  := install -p -m 0644

# install_catalogues PROGRAM installs its translations.
install_catalogues = set -e; for mo in $(CATALOGUES)/*/LC_MESSAGES/$(1).mo; do \
		to="$(datadir)/locale/$${mo\#$(CATALOGUES)/}"; install -d "$${to%/*}"; $(INSTALL) "$$mo" "$$to"; done
POLICIES := power preferences read-only updates
INTERFACES := org.qvmremote1.Manager.xml org.qvmremote1.Qube.xml

install-dom0: ## install dom0's side, built before, below DESTDIR; enables and starts nothing
	install -d $(bindir) $(unitdir) $(datadir)/dbus-1/interfaces $(datadir)/dbus-1/system.d \
		$(datadir)/dbus-1/system-services $(datadir)/polkit-1/actions $(datadir)/licenses/qvm-remote-dom0 $(datadir)/qvm-remote/policy
	install -p -m 0755 $(PROGRAMS)/qvm-remote-dom0 $(bindir)
	for unit in qvm-remote-dom0 qvm-remote-manage; do \
		sed 's|=/usr/bin/|=$(PREFIX)/bin/|' packaging/systemd/$$unit.service >$(unitdir)/$$unit.service && \
		chmod 0644 $(unitdir)/$$unit.service || exit; done
	sed 's|=/usr/bin/|=$(PREFIX)/bin/|' packaging/dbus/org.qvmremote1.service >$(datadir)/dbus-1/system-services/org.qvmremote1.service
	chmod 0644 $(datadir)/dbus-1/system-services/org.qvmremote1.service
	$(INSTALL) packaging/dbus/org.qvmremote1.conf $(datadir)/dbus-1/system.d
	$(INSTALL) packaging/polkit/org.qvmremote1.policy $(datadir)/polkit-1/actions
	$(INSTALL) $(INTERFACES:%=dbus/%) $(datadir)/dbus-1/interfaces
	$(INSTALL) $(POLICIES:%=packaging/policy/%) $(datadir)/qvm-remote/policy
	$(INSTALL) LICENSE $(datadir)/licenses/qvm-remote-dom0

uninstall-dom0: ## remove what install-dom0 installed; settings, keys and records stay
	rm -f $(bindir)/qvm-remote-dom0 $(unitdir)/qvm-remote-dom0.service $(unitdir)/qvm-remote-manage.service \
		$(datadir)/dbus-1/system-services/org.qvmremote1.service $(datadir)/dbus-1/system.d/org.qvmremote1.conf \
		$(datadir)/polkit-1/actions/org.qvmremote1.policy $(INTERFACES:%=$(datadir)/dbus-1/interfaces/%)
	rm -rf $(datadir)/licenses/qvm-remote-dom0 $(datadir)/qvm-remote/policy

install-admin: ## install dom0's desktop program, built before, below DESTDIR
	install -d $(bindir) $(appdir) $(datadir)/metainfo $(mandir)/man1 $(icondir)/scalable/apps $(icondir)/symbolic/apps \
		$(datadir)/licenses/qvm-remote-admin
	install -p -m 0755 $(PROGRAMS)/qvm-remote-admin $(bindir)
	$(INSTALL) resources/$(ADMIN).desktop $(appdir)
	$(INSTALL) resources/$(ADMIN).metainfo.xml $(datadir)/metainfo
	$(INSTALL) resources/icons/hicolor/scalable/apps/$(ADMIN).svg $(icondir)/scalable/apps
	$(INSTALL) resources/icons/hicolor/symbolic/apps/$(ADMIN)-symbolic.svg $(icondir)/symbolic/apps
	$(INSTALL) docs/man/qvm-remote-admin.1 $(mandir)/man1
	$(INSTALL) LICENSE $(datadir)/licenses/qvm-remote-admin
	$(call install_catalogues,qvm-remote-admin)

uninstall-admin: ## remove what install-admin installed
	rm -f $(bindir)/qvm-remote-admin $(appdir)/$(ADMIN).desktop $(datadir)/metainfo/$(ADMIN).metainfo.xml \
		$(icondir)/scalable/apps/$(ADMIN).svg $(icondir)/symbolic/apps/$(ADMIN)-symbolic.svg $(mandir)/man1/qvm-remote-admin.1
	rm -f $(datadir)/locale/*/LC_MESSAGES/qvm-remote-admin.mo
	rm -rf $(datadir)/licenses/qvm-remote-admin

CLIENT   := org.qvmremote.Client

install-gui: ## install a qube's desktop program, built before, below DESTDIR
	install -d $(bindir) $(appdir) $(datadir)/metainfo $(mandir)/man1 $(icondir)/scalable/apps $(icondir)/symbolic/apps \
		$(datadir)/licenses/qvm-remote-gui
	install -p -m 0755 $(PROGRAMS)/qvm-remote-gui $(bindir)
	$(INSTALL) resources/$(CLIENT).desktop $(appdir)
	$(INSTALL) resources/$(CLIENT).metainfo.xml $(datadir)/metainfo
	$(INSTALL) resources/icons/hicolor/scalable/apps/$(CLIENT).svg $(icondir)/scalable/apps
	$(INSTALL) resources/icons/hicolor/symbolic/apps/$(CLIENT)-symbolic.svg $(icondir)/symbolic/apps
	$(INSTALL) docs/man/qvm-remote-gui.1 $(mandir)/man1
	$(INSTALL) LICENSE $(datadir)/licenses/qvm-remote-gui
	$(call install_catalogues,qvm-remote-gui)

uninstall-gui: ## remove what install-gui installed
	rm -f $(bindir)/qvm-remote-gui $(appdir)/$(CLIENT).desktop $(datadir)/metainfo/$(CLIENT).metainfo.xml \
		$(icondir)/scalable/apps/$(CLIENT).svg $(icondir)/symbolic/apps/$(CLIENT)-symbolic.svg $(mandir)/man1/qvm-remote-gui.1
	rm -f $(datadir)/locale/*/LC_MESSAGES/qvm-remote-gui.mo
	rm -rf $(datadir)/licenses/qvm-remote-gui

clean: ## remove what was built
	rm -rf bin build share coverage.out $(GRESOURCE)
