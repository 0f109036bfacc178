//go:build gtk

package ui

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/ui/i18n"
)

// Fill loads a GtkBuilder file from the program's resources and stores its
// objects in the exported fields of the struct that view points to. The object
// of field StartButton has the id start_button; a tag `ui:"other"` names
// another one, `ui:"-"` leaves the field alone. That an object is missing, is
// not of its field's type, or has an id which neither a field nor the file itself
// uses, is an error that names all of these.
//
// A type that the bindings do not know, as those of libadwaita 1.2, fills a
// field of the nearest type above it that they do.
func Fill(view any, resource string) error {
	text, err := read(resource)
	if err != nil {
		return fmt.Errorf("cannot read the view %s: %w", resource, err)
	}
	b := gtk.NewBuilder()
	if err := b.AddFromString(text, len(text)); err != nil {
		return fmt.Errorf("cannot load the view %s: %w", resource, err)
	}
	v := reflect.ValueOf(view)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("cannot fill a %T with the view %s", view, resource)
	}
	v = v.Elem()
	var wrong []error
	used := map[string]bool{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		id, tagged := field.Tag.Lookup("ui")
		if !field.IsExported() || id == "-" {
			continue
		}
		if !tagged {
			id = objectID(field.Name)
		}
		used[id] = true
		if err := assign(v.Field(i), b.GetObject(id)); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %s: %w", resource, id, err))
		}
	}
	ids, err := idle(text, used)
	if err != nil {
		return fmt.Errorf("cannot read the view %s: %w", resource, err)
	}
	for _, id := range ids {
		wrong = append(wrong, fmt.Errorf("%s: %s: nothing uses this object", resource, id))
	}
	return errors.Join(wrong...)
}

// read is a view in the person's language.
func read(resource string) (string, error) {
	data, err := gio.ResourcesLookupData(resource, gio.ResourceLookupFlagsNone)
	if err != nil {
		return "", err
	}
	text, err := i18n.View(data.Data())
	return string(text), err
}

// idle are the ids of a view that nothing uses.
func idle(text string, used map[string]bool) ([]string, error) {
	var ids []string
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return slices.DeleteFunc(ids, func(id string) bool { return used[id] }), nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.CharData: // the value of a property
			used[string(t)] = true
		case xml.StartElement:
			for _, a := range t.Attr { // a response of a dialog has an id as well
				if a.Name.Local == "id" && (t.Name.Local == "object" || t.Name.Local == "menu") {
					ids = append(ids, a.Value)
				}
			}
		}
	}
}

func assign(field reflect.Value, object *glib.Object) error {
	if object == nil {
		return errors.New("there is no such object")
	}
	value := reflect.ValueOf(object.Cast())
	if !value.Type().AssignableTo(field.Type()) {
		return fmt.Errorf("is a %s, not a %s", value.Type(), field.Type())
	}
	field.Set(value)
	return nil
}

// objectID turns StartButton into start_button, and ID into id.
func objectID(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		begins := i > 0 && unicode.IsUpper(r) &&
			(unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if begins {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
