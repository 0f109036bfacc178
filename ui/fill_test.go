//go:build gtk

package ui

import (
	"strings"
	"testing"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/test/stage"
)

const question = "/org/qvmremote/ui/question.ui"

func TestAViewFillsItsFields(t *testing.T) {
	stage.Enter(t)
	v := struct {
		Entry  *gtk.Entry
		Answer gtk.Widgetter `ui:"extra"`
		Dialog gtk.Widgetter
		Chip   gtk.Widgetter
		Prompt gtk.Widgetter
		Other  *gtk.Button `ui:"-"`
		inner  *gtk.Box
	}{}
	if err := Fill(&v, question); err != nil {
		t.Fatal(err)
	}
	if v.Entry == nil || v.Answer == nil || v.Other != nil || v.inner != nil {
		t.Errorf("it is filled like this: %+v", v)
	}
}

// TestWhatAViewLacksIsNamed: all of it, when the view is loaded and not when
// somebody presses what is not there.
func TestWhatAViewLacksIsNamed(t *testing.T) {
	stage.Enter(t)
	var missing struct {
		Dialog, Extra, Chip, Prompt gtk.Widgetter
		Entry                       *gtk.Entry
		StartButton                 *gtk.Button
		Other                       *gtk.Box `ui:"the_other"`
	}
	var wrong struct {
		Dialog, Extra, Chip, Prompt gtk.Widgetter
		Entry                       *gtk.Button
	}
	var few struct {
		Dialog, Extra gtk.Widgetter
		Entry         *gtk.Entry
	}
	for name, c := range map[string]struct {
		view     any
		resource string
		want     []string
	}{
		"missing":    {&missing, question, []string{question + ": start_button: there is no such object", question + ": the_other: there is no such object"}},
		"other type": {&wrong, question, []string{question + ": entry: is a *gtk.Entry, not a *gtk.Button"}},
		"unused":     {&few, question, []string{question + ": chip: nothing uses this object", question + ": prompt: nothing uses this object"}},
		"no view":    {&wrong, "/org/qvmremote/none.ui", []string{"cannot read the view /org/qvmremote/none.ui: "}},
		"no pointer": {wrong, question, []string{"cannot fill a struct { "}},
		"no struct":  {new(int), question, []string{"cannot fill a *int with the view " + question}},
	} {
		err := Fill(c.view, c.resource)
		if err == nil {
			t.Errorf("%s: it is no error", name)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.want) {
			t.Errorf("%s: %q", name, lines)
			continue
		}
		for i, want := range c.want {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%s: it says %q, not %q", name, lines[i], want)
			}
		}
	}
}

func TestNamesOfFieldsAndObjects(t *testing.T) {
	t.Parallel()
	for field, id := range map[string]string{"StartButton": "start_button", "ID": "id", "QubeID": "qube_id", "A": "a", "HTTPName": "http_name"} {
		if got := objectID(field); got != id {
			t.Errorf("the object of %s is %s, not %s", field, got, id)
		}
	}
}
