package dom0test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
)

// Past is a request of some time ago, as the history of a qube keeps it.
type Past struct {
	At       time.Time
	Number   int // makes its id unique
	Script   string
	State    queue.State // "" = no answer
	Exit     int
	Out, Err string
	Forge    bool // its output is another one than dom0 signed
}

// File writes the request into the history, signed with k as the qube and dom0
// do, and returns its day and id.
func (p Past) File(l queue.Layout, k queue.Key) (day, id string, err error) {
	id = fmt.Sprintf("%s-%d-%08x", p.At.Format("20060102-150405"), 1000+p.Number%30000, p.Number)
	folder := l.HistoryOf(p.At, id)
	r := queue.Request{Kind: queue.KindScript, ID: id, Qube: "work", Issued: p.At.Unix(), Expires: p.At.Unix() + 300,
		Timeout: 300, Body: queue.SumOf([]byte(p.Script))}
	header := r.Sign(k.RequestKey())
	files := []struct {
		name string
		data []byte
	}{{"request", header}, {"command", []byte(p.Script)}}
	if p.State != "" {
		files = append(files, p.answer(r, header, k)...)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", "", err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(folder, f.name), f.data, 0o600); err != nil {
			return "", "", err
		}
	}
	return filepath.Base(filepath.Dir(folder)), id, nil
}

func (p Past) answer(r queue.Request, header []byte, k queue.Key) (files []struct {
	name string
	data []byte
}) {
	put := func(name string, data []byte) {
		files = append(files, struct {
			name string
			data []byte
		}{name, data})
	}
	result := queue.Result{ID: r.ID, Qube: r.Qube, Request: queue.DigestOf(header), State: p.State, Exit: p.Exit,
		Started: p.At.Unix(), DurationMS: 1500, Out: queue.SumOf([]byte(p.Out)), Err: queue.SumOf([]byte(p.Err))}
	if p.State == queue.StateDenied {
		denied := (&queue.Denial{Reason: queue.PolicyDenied}).File()
		result.Reason, result.Exit, result.Started, result.DurationMS = queue.PolicyDenied, queue.NoExit, 0, 0
		result.Out, result.Err = queue.Sum{}, queue.SumOf(denied)
		put("result", result.Sign(k.ResultKey()))
		put("denied", denied)
		return files
	}
	out := p.Out
	if p.Forge {
		out += "forged"
	}
	put("out", []byte(out))
	put("err", []byte(p.Err))
	put("meta", []byte("duration_ms=1500\n"))
	put("result", result.Sign(k.ResultKey()))
	put("exit", []byte(strconv.Itoa(p.Exit)))
	return files
}

// Fill makes the queue of a qube with a key, in the folder at root, and files a
// history of so many commands over so many days, the last one today; the script
// of one in its middle is "echo needle".
func Fill(root string, count, days int) (*client.Client, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	c := client.New(root)
	if err := c.Prepare(); err != nil {
		return nil, err
	}
	k, err := c.GenerateKey(false)
	if err != nil {
		return nil, err
	}
	now := time.Now().Truncate(24 * time.Hour)
	for n := range count {
		script := fmt.Sprintf("qvm-prefs work-%d memory 4000\n# and some more words as people write them\n", n)
		if n == count/2 {
			script = "echo needle\n"
		}
		p := Past{At: now.AddDate(0, 0, -n%days).Add(time.Duration(n/days) * time.Second), Number: n, Script: script, State: queue.StateExit, Exit: n % 3, Out: "done\n"}
		if _, _, err := p.File(c.Layout, k); err != nil {
			return nil, err
		}
	}
	return c, nil
}
