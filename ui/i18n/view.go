package i18n

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// View is a GtkBuilder file with what it marks as translatable in the person's
// language. GTK could do so itself, but by a locale that must be installed, and
// then half of a window would be in another language than what Go says in it.
func View(text []byte) ([]byte, error) { return ours().View(text) }

// View is [View] of this catalogue.
func (c Catalogue) View(text []byte) ([]byte, error) {
	if c.messages == nil {
		return text, nil
	}
	return Translate(text, func(context, message string) string {
		if context == "" {
			return c.T(message, []any{}...)
		}
		return c.C(context, message, []any{}...)
	})
}

// Translate is a GtkBuilder file with what say says in place of each message that
// the file marks as translatable.
func Translate(view []byte, say func(context, message string) string) ([]byte, error) {
	var out bytes.Buffer
	e, d := xml.NewEncoder(&out), xml.NewDecoder(bytes.NewReader(view))
	marked, context := false, "" // the text that comes
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("cannot translate a view: %w", err)
		}
		switch t := token.(type) {
		case xml.ProcInst, xml.Comment:
			continue
		case xml.StartElement:
			marked, context = attribute(t, "translatable") == "yes", attribute(t, "context")
		case xml.EndElement:
			marked = false
		case xml.CharData:
			if marked {
				token = xml.CharData(say(context, string(t)))
			}
		}
		if err := e.EncodeToken(token); err != nil {
			return nil, fmt.Errorf("cannot translate a view: %w", err)
		}
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("cannot translate a view: %w", err)
	}
	return out.Bytes(), nil
}

func attribute(of xml.StartElement, name string) string {
	for _, a := range of.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
