package access

import (
	"io"
	"os"
	"strings"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/audit"
)

// text is all that a method answered.
func text(out []any) string {
	return strings.Join(words(&godbus.Signal{Body: out}), "\n")
}

// tells fails the test unless the command's record is in the answer: whoever
// may call these methods reads what nobody is told.
func tells(method string) func(*story, []any) {
	return func(s *story, out []any) {
		s.t.Helper()
		if !strings.Contains(text(out), telltale+"-script") {
			s.t.Errorf("%s: no command in %v", method, out)
		}
	}
}

// auditRows read the log of what the rows before them did.
func auditRows() []row {
	var exported *os.File
	return []row{
		on("QueryAudit", row{args: with(noOptions, uint64(0), uint32(100)), after: tells("QueryAudit")}),
		on("GetRecord", row{
			args:  func(s *story) []any { return []any{uint64(newest(s.records(), audit.Run).Seq)} },
			after: tells("GetRecord"),
		}),
		on("ExportAuditText", row{args: with(uint64(0), uint32(1000)), after: tells("ExportAuditText")}),
		on("ExportAudit", row{
			args: func(s *story) []any {
				var err error
				exported, err = os.CreateTemp(s.t.TempDir(), "")
				must(s.t, err)
				s.t.Cleanup(func() { exported.Close() })
				return []any{godbus.UnixFD(exported.Fd()), "jsonl"}
			},
			after: func(s *story, out []any) {
				_, err := exported.Seek(0, io.SeekStart)
				must(s.t, err)
				b, err := io.ReadAll(exported)
				must(s.t, err)
				if out[0] != uint64(len(b)) {
					s.t.Errorf("ExportAudit: %v, %d bytes came", out, len(b))
				}
				tells("ExportAudit")(s, []any{string(b)})
			}}),
		on("CountCommands", row{
			args: func(*story) []any {
				now := uint64(time.Now().Unix())
				return []any{now - 3600, now + 3600, uint32(7200), "work"}
			},
			after: func(s *story, out []any) {
				if list, _ := out[0].([][]any); len(list) != 1 || list[0][1].(map[string]uint32)["cancelled"] != 1 {
					s.t.Errorf("CountCommands: %v", out)
				}
			}}),
		on("VerifyAudit", row{
			args: func(s *story) []any { return []any{[]string{newest(s.records(), audit.Delivered).Checkpoint}} },
			after: func(s *story, out []any) {
				if out[0] != true || out[2] == uint64(0) {
					s.t.Errorf("VerifyAudit: %v", out)
				}
			}}),
		on("Doctor", row{after: func(s *story, out []any) {
			if list, _ := out[0].([][]any); len(list) == 0 {
				s.t.Errorf("Doctor: %v", out)
			}
		}}),
	}
}
