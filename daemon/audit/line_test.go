package audit

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A field that parseFast does not know would make every start slow, or be lost.
func TestEveryFieldOfARecordIsReadFast(t *testing.T) {
	t.Parallel()
	var r Record
	v := reflect.ValueOf(&r).Elem()
	code := -7
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case json.RawMessage: // carries are few
		case time.Time:
			f.Set(reflect.ValueOf(time.Date(2026, 11, 23, 1, 2, 3, 4000, time.UTC)))
		case *int:
			f.Set(reflect.ValueOf(&code))
		default:
			switch f.Kind() {
			case reflect.String:
				f.SetString("é\n\t\r\"\\/<\u202e>" + v.Type().Field(i).Name)
			case reflect.Bool:
				f.SetBool(true)
			default:
				f.SetInt(int64(i) * 1000)
			}
		}
	}
	line, err := encodeLine(r)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := parseFast(line)
	if diff := cmp.Diff(r, got); !ok || diff != "" {
		t.Errorf("read fast: %v %s", ok, diff)
	}
}

func TestNothingUnprintableIsWritten(t *testing.T) {
	t.Parallel()
	r := Record{Event: Claim, Command: "\x00\x1b[2J\x7f\u009b\u202e\u2066\ufeff\U000e0001 é \U0001f600"}
	line, err := encodeLine(r)
	if err != nil || !printable(string(line)) {
		t.Fatalf("%q, %v", line, err)
	}
	got, err := parseLine(line)
	if err != nil || got.Command != r.Command {
		t.Errorf("%q came back, %v", got.Command, err)
	}
	if !strings.Contains(string(line), "é \U0001f600") {
		t.Errorf("printable text was escaped: %s", line)
	}
}
