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
	var out bytes.Buffer
	e, d := xml.NewEncoder(&out), xml.NewDecoder(bytes.NewReader(text))
	var message *xml.StartElement // that the text belongs to, where it is to be translated
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
			if message = nil; attribute(t, "translatable") == "yes" {
				copied := t.Copy()
				message = &copied
			}
		case xml.EndElement:
			message = nil
		case xml.CharData:
			if message != nil {
				token = xml.CharData(c.text(*message, string(t)))
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

func (c Catalogue) text(of xml.StartElement, message string) string {
	if context := attribute(of, "context"); context != "" {
		return c.C(context, message, []any{}...)
	}
	return c.T(message, []any{}...)
}

func attribute(of xml.StartElement, name string) string {
	for _, a := range of.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
