package daemon

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"qvmremote/daemon/run"
)

// socketsEnv names the folder in which each qube of these tests has a socket.
const socketsEnv = "QVM_REMOTE_TEST_SOCKETS"

// TestMain stands in for the tools of Qubes OS, too: this binary lies in PATH
// under their names.
func TestMain(m *testing.M) {
	run.Supervise()
	if sockets := os.Getenv(socketsEnv); sockets != "" {
		switch filepath.Base(os.Args[0]) {
		case "qvm-run":
			os.Exit(pipeTo(filepath.Join(sockets, os.Args[len(os.Args)-2])))
		case "qvm-ls":
			os.Exit(list(sockets))
		case "qvm-prefs":
			if _, err := os.Stat(hiddenUUID(os.Args[1])); err == nil {
				os.Exit(1)
			}
			fmt.Println(uuidOf(os.Args[1]))
			os.Exit(0)
		}
	}
	os.Exit(withTools(m))
}

func withTools(m *testing.M) int {
	dir, err := os.MkdirTemp("", "qvm-remote-daemon-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	for _, tool := range []string{"qvm-run", "qvm-ls", "qvm-prefs"} {
		if err := os.Symlink(self, filepath.Join(dir, tool)); err != nil {
			panic(err)
		}
	}
	os.Setenv(socketsEnv, dir+"/sockets")
	os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if err := os.Mkdir(dir+"/sockets", 0o700); err != nil {
		panic(err)
	}
	return m.Run()
}

// pipeTo joins the standard streams to a qube, to the end of either.
func pipeTo(socket string) int {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		os.Exit(0)
	}()
	_, _ = io.Copy(os.Stdout, conn)
	return 0
}

func list(sockets string) int {
	fmt.Println("dom0|Running|AdminVM|black|-")
	entries, err := os.ReadDir(sockets)
	if err != nil {
		return 1
	}
	for _, e := range entries {
		fmt.Printf("%s|Running|AppVM|red|%s\n", e.Name(), uuidOf(e.Name()))
	}
	return 0
}

// uuidOf is the uuid of every qube of these tests that was not made anew.
func uuidOf(qube string) string {
	if _, err := os.Stat(anewFile(qube)); err == nil {
		return "99999999-2222-3333-4444-555555555555"
	}
	return "11111111-2222-3333-4444-555555555555"
}

// anewFile is the file that makes a qube another one of the same name.
func anewFile(qube string) string { return os.Getenv(socketsEnv) + "-anew-" + qube }

// hiddenUUID is the file that makes dom0's tools fail to tell a qube's uuid.
func hiddenUUID(qube string) string { return os.Getenv(socketsEnv) + "-hidden-" + qube }
