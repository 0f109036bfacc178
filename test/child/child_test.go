package child_test

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/test/child"
)

const patience = time.Minute

// TestMain has this program be a parent, too, that starts a child, prints its
// number and waits to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("CHILD_TEST_PARENT") == "" {
		os.Exit(m.Run())
	}
	c, err := child.Start(exec.Command("sleep", "1000"))
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(strconv.Itoa(c.Pid()) + "\n")
	<-c.Ended()
}

// gone waits until there is no such process, or only what is left of it until
// somebody asks how it ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("process %d is still there: %s", pid, stat)
		}
	}
}

func TestAChildEndsWithItsParent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "CHILD_TEST_PARENT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	gone(t, pid)
}

// hears waits until a line was printed.
func hears(t *testing.T, out *child.Output) {
	t.Helper()
	for late := time.Now().Add(patience); !strings.Contains(out.String(), "\n"); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it prints nothing")
		}
	}
}

func TestEndLeavesNobodyOfTheGroup(t *testing.T) {
	t.Parallel()
	var out child.Output
	cmd := exec.Command("sh", "-c", "trap 'exit 3' TERM; sleep 1000 >/dev/null & echo $!; wait")
	cmd.Stdout = &out
	c, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	hears(t, &out)
	pid, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	c.End(patience)
	gone(t, pid)
	if err := c.Err(); !c.Over() || err == nil || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("it ended so: %v; it was to be asked first", err)
	}
	c.End(patience)
}

func TestEndOfOneThatIsDeaf(t *testing.T) {
	t.Parallel()
	var out child.Output
	cmd := exec.Command("sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done")
	cmd.Stdout = &out
	c, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	hears(t, &out)
	c.End(time.Millisecond)
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended so: %v", cmd.ProcessState)
	}
}

func TestWhatCannotStart(t *testing.T) {
	t.Parallel()
	if _, err := child.Start(exec.Command("/nowhere/at-all")); err == nil {
		t.Error("a program that is not there was started")
	}
}
