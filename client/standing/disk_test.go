package standing

import (
	"errors"
	"os"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/test/smalldisk"
)

func TestMain(m *testing.M) { smalldisk.Main(m) }

// TestAFullDiskIsToldOfWhenAsked: no file tells of it, and while dom0 looks it is
// a minute to the next look.
func TestAFullDiskIsToldOfWhenAsked(t *testing.T) {
	home := t.TempDir()
	smalldisk.Mount(t, home, 1)
	p := DefaultPaces()
	p.Fresh = time.Hour
	f := followIn(t, home, p)
	stop := f.serve() // it leaves before the disk does
	f.becomes("an agent", func(s Standing) bool { return s.Connected })
	ballast := smalldisk.Fill(t, home)
	f.asked.Ring()
	f.becomes("a full disk", func(s Standing) bool { return errors.Is(s.Trouble, client.ErrDiskFull) })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	f.becomes("room again", func(s Standing) bool { return s.Trouble == nil })
	stop()
}
