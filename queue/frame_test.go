package queue

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func reading(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

func TestFrameVector(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := WriteFrame(&b, Frame{Type: FrameWait, Tag: 0x01020304, Payload: Marshal(&Wait{Seen: 7, MaxMS: 60000})}); err != nil {
		t.Fatal(err)
	}
	const want = "00000015" + "02" + "01020304" + "0000000000000007" + "000000000000ea60"
	if got := hex.EncodeToString(b.Bytes()); got != want {
		t.Errorf("the frame is %s, want %s", got, want)
	}
}

func TestFrameTypesAreFixed(t *testing.T) {
	t.Parallel()
	want := map[byte]bool{0xff: true}
	for c := byte(1); c <= 9; c++ {
		want[c], want[c|0x80] = true, true
	}
	for c := range 256 {
		_, err := ReadFrame(reading([]byte{0, 0, 0, 5, byte(c), 0, 0, 0, 1}))
		if want[byte(c)] && err != nil || !want[byte(c)] && !errors.Is(err, ErrFrame) {
			t.Errorf("type %#x: %v", c, err)
		}
	}
	if FrameHello != 1 || FrameClean != 9 || !FrameClean.Question() || FrameError.Question() || (FrameWait | AnswerBit).Question() {
		t.Error("the frame types have moved")
	}
}

func TestFramesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.Custom(func(t *rapid.T) FrameType {
			f := FrameType(rapid.IntRange(1, 9).Draw(t, "type"))
			return rapid.SampledFrom([]FrameType{f, f | AnswerBit, FrameError}).Draw(t, "kind")
		})
		var sent []Frame
		var b bytes.Buffer
		for range rapid.IntRange(1, 4).Draw(t, "count") {
			f := Frame{kind.Draw(t, "type"), rapid.Uint32().Draw(t, "tag"), rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload")}
			if err := WriteFrame(&b, f); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, f)
		}
		all := b.Bytes()
		// A pipe may bring one byte at a time.
		r := bufio.NewReader(iotest.OneByteReader(bytes.NewReader(all)))
		for _, want := range sent {
			f, err := ReadFrame(r)
			if err != nil || f.Type != want.Type || f.Tag != want.Tag || !bytes.Equal(f.Payload, want.Payload) {
				t.Fatalf("sent %+v, got %+v, %v", want, f, err)
			}
		}
		if _, err := ReadFrame(r); err != io.EOF {
			t.Fatalf("after the last frame: %v", err)
		}
		cut := rapid.IntRange(1, len(all)-1).Draw(t, "cut")
		r = reading(all[:cut])
		var err error
		for err == nil {
			_, err = ReadFrame(r)
		}
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Fatalf("cut at %d of %d: %v", cut, len(all), err)
		}
	})
}

func TestCutFrame(t *testing.T) {
	t.Parallel()
	whole := []byte{0, 0, 0, 7, 1, 0, 0, 0, 1, 'a', 'b'}
	if _, err := ReadFrame(reading(nil)); err != io.EOF {
		t.Errorf("nothing: %v", err)
	}
	for n := 1; n < len(whole); n++ {
		if _, err := ReadFrame(reading(whole[:n])); err != io.ErrUnexpectedEOF {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	broken := errors.New("pipe broke")
	r := bufio.NewReader(io.MultiReader(bytes.NewReader(whole[:10]), iotest.ErrReader(broken)))
	if _, err := ReadFrame(r); !errors.Is(err, broken) {
		t.Errorf("a read error became %v", err)
	}
}

// A length is refused before anything is allocated for it.
func TestFrameLengthBound(t *testing.T) {
	for _, n := range []uint32{0, 4, frameHead + MaxPayload + 1, 1 << 31, 1<<32 - 1} {
		r := reading([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 1, 0, 0, 0, 1, 'x'})
		var err error
		if cost := allocated(func() { _, err = ReadFrame(r) }); !errors.Is(err, ErrFrame) || cost > 64<<10 {
			t.Errorf("length %d: %v, at the cost of %d bytes", n, err, cost)
		}
	}
	largest := Frame{Type: FrameFetch | AnswerBit, Payload: make([]byte, MaxPayload)}
	var b bytes.Buffer
	if err := WriteFrame(&b, largest); err != nil {
		t.Fatal(err)
	}
	if f, err := ReadFrame(bufio.NewReader(&b)); err != nil || len(f.Payload) != MaxPayload {
		t.Errorf("the largest frame: %v", err)
	}
	largest.Payload = append(largest.Payload, 0)
	if err := WriteFrame(&b, largest); !errors.Is(err, ErrFrame) || b.Len() != 0 {
		t.Errorf("a larger one: %v, %d bytes written", err, b.Len())
	}
}

// oneWrite fails the test when a frame comes in pieces, which another writer
// could get between.
type oneWrite struct{ n int }

func (w *oneWrite) Write(p []byte) (int, error) { w.n++; return len(p), nil }

func TestWriteFrameIsOneWrite(t *testing.T) {
	t.Parallel()
	var w oneWrite
	if err := WriteFrame(&w, Frame{Type: FrameHello, Payload: []byte("abc")}); err != nil || w.n != 1 {
		t.Errorf("%d writes, %v", w.n, err)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5, 1, 0, 0, 0, 1})
	f.Add([]byte{0, 0, 0, 7, 0xff, 0, 0, 0, 1, 'a', 'b', 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := reading(b)
		for rest := b; ; {
			frame, err := ReadFrame(r)
			if err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, ErrFrame) {
					t.Errorf("%x: %v", b, err)
				}
				return
			}
			var again bytes.Buffer
			if err := WriteFrame(&again, frame); err != nil || !bytes.HasPrefix(rest, again.Bytes()) {
				t.Fatalf("%x read as %+v, which is written %x, %v", rest, frame, again.Bytes(), err)
			}
			rest = rest[again.Len():]
		}
	})
}
