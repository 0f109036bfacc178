package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// TestProtocolStatesTheNumbersOfTheCode: each row of the tables in
// docs/protocol.md that names a constant of package queue in backquotes has
// that constant's value in the cell after it, and no constant is left out.
func TestProtocolStatesTheNumbersOfTheCode(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"MaxHeader": num(queue.MaxHeader), "MaxScript": num(queue.MaxScript), "MaxStdin": num(queue.MaxStdin),
		"MaxOutput": num(queue.MaxOutput), "MaxDenied": num(queue.MaxDenied), "MaxNames": num(queue.MaxNames),
		"MaxTimeout": num(queue.MaxTimeout), "MaxPending": num(queue.MaxPending), "MaxQuestion": num(queue.MaxQuestion),
		"MaxID": num(queue.MaxID), "MaxPayload": num(queue.MaxPayload), "Chunk": num(queue.Chunk),
		"MaxWait": num(queue.MaxWait.Seconds()), "DefaultTimeout": num(queue.DefaultTimeout),
		"DefaultWithin": num(queue.DefaultWithin.Seconds()), "DetachWithin": num(queue.DetachWithin.Seconds()),
		"MaxWithin": num(queue.MaxWithin.Seconds()), "ClockSlack": num(queue.ClockSlack.Seconds()),
		"KeyLen": num(queue.KeyLen), "FrameHeadLen": num(queue.FrameHeadLen),
		"FrameHello": num(queue.FrameHello), "FrameWait": num(queue.FrameWait), "FrameFetch": num(queue.FrameFetch),
		"FrameState": num(queue.FrameState), "FrameWrite": num(queue.FrameWrite), "FrameFinish": num(queue.FrameFinish),
		"FrameDeny": num(queue.FrameDeny), "FrameList": num(queue.FrameList), "FrameClean": num(queue.FrameClean),
		"FrameError": num(queue.FrameError), "AnswerBit": num(queue.AnswerBit),
		"PartHeader": num(queue.PartHeader), "PartBody": num(queue.PartBody),
		"PartStdin": num(queue.PartStdin), "PartCancel": num(queue.PartCancel),
		"Stdout": num(queue.Stdout), "Stderr": num(queue.Stderr),
		"CodeFailed": num(queue.CodeFailed), "CodeGone": num(queue.CodeGone),
		"CodeNotRegular": num(queue.CodeNotRegular), "CodeFull": num(queue.CodeFull),
		"ExitUsage": num(queue.ExitUsage), "ExitTimeout": num(queue.ExitTimeout), "ExitInternal": num(queue.ExitInternal),
		"ExitDenied": num(queue.ExitDenied), "ExitCancelled": num(queue.ExitCancelled),
		"ExitBrokenPipe": num(queue.ExitBrokenPipe), "ExitInterrupted": num(queue.ExitInterrupted),
	}
	tree := load(t)
	stated := map[string]string{}
	for _, m := range constantRow.FindAllStringSubmatch(readText(t, tree.Root, "docs/protocol.md"), -1) {
		stated[m[1]] = strings.ReplaceAll(m[2], " ", "")
	}
	for name, want := range values {
		if stated[name] != want {
			t.Errorf("docs/protocol.md says %s is %q, the code says %s", name, stated[name], want)
		}
	}
	for name := range numbers(tree) {
		if _, ok := values[name]; !ok {
			t.Errorf("queue.%s is new: state it in docs/protocol.md and here", name)
		}
	}
}

var constantRow = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| ([0-9 ]+) \\|")

func num[T int | float64 | int64 | queue.FrameType | queue.Part | queue.Stream | queue.Code](v T) string {
	return fmt.Sprint(v)
}

// numbers names the exported constants of package queue whose value is no text.
func numbers(t *Tree) map[string]bool {
	names := map[string]bool{}
	eachConstant(t, func(name string, value ast.Expr) {
		if lit, ok := value.(*ast.BasicLit); ok && lit.Kind == token.STRING || name == "NoExit" {
			return
		}
		names[name] = true
	})
	return names
}

func eachConstant(t *Tree, visit func(name string, value ast.Expr)) {
	for _, f := range t.Files {
		if f.Dir() != "queue" || f.Test() {
			continue
		}
		f.eachConstant(func(v *ast.ValueSpec) {
			for i, n := range v.Names {
				var value ast.Expr
				if i < len(v.Values) {
					value = v.Values[i]
				}
				if n.IsExported() {
					visit(n.Name, value)
				}
			}
		})
	}
}

// TestProtocolExplainsEveryReason: each refusal code has a row.
func TestProtocolExplainsEveryReason(t *testing.T) {
	t.Parallel()
	tree := load(t)
	text := readText(t, tree.Root, "docs/protocol.md")
	reasons := tree.Texts("queue", "Reason")
	for _, reason := range reasons {
		if !strings.Contains(text, "\n| `"+reason+"` |") {
			t.Errorf("docs/protocol.md has no row for the refusal %s", reason)
		}
	}
	if len(reasons) == 0 {
		t.Error("no reasons found in package queue")
	}
}

// TestAuditPageExplainsTheLog: docs/audit.md names each event, and has a row
// for each finding with how bad it is.
func TestAuditPageExplainsTheLog(t *testing.T) {
	t.Parallel()
	tree := load(t)
	text := readText(t, tree.Root, "docs/audit.md")
	events, findings := tree.Texts("daemon/audit", "Event"), tree.Texts("daemon/audit", "FindingKind")
	if len(events) == 0 || len(findings) == 0 {
		t.Error("no events or findings found in daemon/audit")
	}
	for name, event := range events {
		if name != "Unreadable" && !strings.Contains(text, "`"+event+"`") {
			t.Errorf("docs/audit.md does not say what the event %s is", event)
		}
	}
	for _, kind := range findings {
		row := "\n| `" + kind + "` | " + string(audit.FindingKind(kind).Severity()) + " |"
		if !strings.Contains(text, row) {
			t.Errorf("docs/audit.md has no row that begins with %q", row[1:])
		}
	}
}
