//go:build gtk

package client

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
	"qvmremote/test/sim"
	"qvmremote/test/smalldisk"
)

// onSmallDisk is a scene whose qube has its home on a disk of 4 MiB.
func onSmallDisk(t *testing.T, page string) (s *scene, home string) {
	t.Helper()
	s = prepare(t, life.Options{Stopped: true})
	s.Get(qube).SetState(sim.Halted) // what runs in it would keep the other home
	home = s.QubePath(qube, "home")
	kept := filepath.Join(t.TempDir(), "kept")
	copyAll := func(from, to string) {
		t.Helper()
		if said, err := exec.CommandContext(t.Context(), "cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
			t.Fatalf("cannot copy the home: %v\n%s", err, said)
		}
	}
	if err := os.Mkdir(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	copyAll(home, kept)
	smalldisk.Mount(t, home, 4)
	copyAll(kept, home)
	s.Get(qube).SetState(sim.Running)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.launch(t, "--page", page)
	return s, home
}

// makesRoom takes away what filled the disk.
func makesRoom(t *testing.T, ballast string) {
	t.Helper()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
}

// TestAFileOnAFullDisk: sending one says that there is no room, leaves nothing
// in dom0, and does it once there is room.
func TestAFileOnAFullDisk(t *testing.T) {
	t.Parallel()
	s, home := onSmallDisk(t, "files")
	if err := os.Symlink(programs.Dom0, filepath.Join(s.Dom0Bin(), "qvm-remote-dom0")); err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("not for a full disk\n"), 5000)
	local, remote := filepath.Join(t.TempDir(), "local"), filepath.Join(s.Dom0(), "root", "remote")
	if err := os.WriteFile(local, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ballast := smalldisk.Fill(t, home)
	send := s.sends(t, local, remote)
	s.app.Find(t, "label", "*disk is full or read-only; make room*")
	if all, err := filepath.Glob(remote + "*"); err != nil || len(all) > 0 {
		t.Errorf("dom0 has %q, %v", all, err)
	}
	makesRoom(t, ballast)
	send.AwaitState(t, desktop.Sensitive, true)
	send.Press(t)
	desktop.Await(t, "dom0 has the file", func() bool {
		got, err := os.ReadFile(remote)
		return err == nil && bytes.Equal(got, data)
	})
}

// TestOutputSavedToAFullDisk: what the command wrote is not lost by that.
func TestOutputSavedToAFullDisk(t *testing.T) {
	t.Parallel()
	s, home := onSmallDisk(t, "run")
	const n = 100_000
	s.runs(t, fmt.Sprintf("head -c %d /dev/zero | tr '\\0' o", n))
	s.app.Find(t, "label", "Done: exit 0")
	s.ended(t, queue.StateExit)
	ballast := smalldisk.Fill(t, home)
	path := filepath.Join(home, "saved")
	save := func() {
		t.Helper()
		s.app.Find(t, "button", "Save or copy the output*").Press(t)
		s.app.Find(t, "menu item", "Save standard output…").Press(t)
		s.app.Find(t, "button", "Save")
		s.app.Focused(t).SetText(t, path)
		s.Desktop.Key(t, "Return")
	}
	save()
	s.app.Find(t, "label", "*annot write saved: its disk is full; make room there*")
	if all, err := filepath.Glob(path + "*"); err != nil || len(all) > 0 {
		t.Errorf("there is %q, %v", all, err)
	}
	makesRoom(t, ballast)
	save()
	desktop.Await(t, "all of it is saved", func() bool {
		got, err := os.ReadFile(path)
		return err == nil && bytes.Equal(got, bytes.Repeat([]byte("o"), n))
	})
}

// TestACommandOnAFullDisk says so, on every page, also where dom0 looks; it runs
// once there is room, and the banner goes by itself.
func TestACommandOnAFullDisk(t *testing.T) {
	t.Parallel()
	s, home := onSmallDisk(t, "run")
	ballast := smalldisk.Fill(t, home)
	s.runs(t, "echo ran")
	s.app.Find(t, "label", "*disk is full or read-only; make room*")
	s.turn(t, "Files")
	s.app.Find(t, "label", "*disk is full or read-only; make room*")
	s.turn(t, "Run")
	makesRoom(t, ballast)
	s.runs(t, "echo ran")
	s.app.Find(t, "label", "Done: exit 0")
	s.app.Gone(t, "label", "*disk is full or read-only; make room*")
	s.ended(t, queue.StateExit)
}
