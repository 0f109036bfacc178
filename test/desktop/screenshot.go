package desktop

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"time"

	"qvmremote/test/desktop/x11"
)

// stillness is how long nothing may change before a picture is taken.
const stillness = 250 * time.Millisecond

// Screenshot writes what is shown to a PNG, once it stands still: all windows
// and what they let open, as large as they are together, with their shadows
// over nothing. Find first what should be on it: a program that has not begun to
// draw stands still as well.
func (d *Desktop) Screenshot(path string) error {
	m, err := d.still()
	if err != nil {
		return fmt.Errorf("take a screenshot: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// still is a picture that did not change for a while, or the last one where
// something never rests.
func (d *Desktop) still() (*image.RGBA, error) {
	m, err := d.Image()
	for late := time.Now().Add(patience / 4); err == nil && time.Now().Before(late); {
		time.Sleep(stillness)
		var next *image.RGBA
		if next, err = d.Image(); err == nil && next.Rect == m.Rect && bytes.Equal(next.Pix, m.Pix) {
			return next, nil
		}
		m = next
	}
	return m, err
}

// Image is what is shown now; it is empty where there is no window.
func (d *Desktop) Image() (*image.RGBA, error) {
	all, err := d.x.Children(d.x.Root)
	if err != nil {
		return nil, err
	}
	type picture struct {
		image *image.RGBA
		at    image.Rectangle
	}
	var pictures []picture
	var whole image.Rectangle
	for _, win := range all {
		p, at, err := d.picture(win)
		if err != nil {
			continue // it has gone meanwhile
		}
		if p != nil {
			pictures = append(pictures, picture{p, at})
			whole = whole.Union(at)
		}
	}
	m := image.NewRGBA(whole)
	for _, p := range pictures {
		draw.Draw(m, p.at, p.image, image.Point{}, draw.Over)
	}
	return m, nil
}

// picture is what a window shows, nil where it is not shown.
func (d *Desktop) picture(win x11.Window) (*image.RGBA, image.Rectangle, error) {
	visible, err := d.x.Visible(win)
	if err != nil || !visible {
		return nil, image.Rectangle{}, err
	}
	at, err := d.x.Place(win)
	if err != nil {
		return nil, at, err
	}
	m, err := d.x.Image(win)
	if err != nil {
		return nil, at, err
	}
	return m, image.Rectangle{Min: at.Min, Max: at.Min.Add(m.Rect.Size())}, nil
}
