package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// parseFast reads a line in the spelling that encodeLine gives it, many times
// as fast as encoding/json: a start may have to read 100,000 of them. Anything
// that it does not know for certain (ok is false) is left to encoding/json.
func parseFast(line []byte) (r Record, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("{"))
	for ok {
		var key []byte
		if key, rest, ok = cutKey(rest); !ok {
			break
		}
		if rest, ok = r.setField(key, rest); !ok || len(rest) == 0 {
			return r, false
		}
		if len(rest) == 1 && rest[0] == '}' {
			return r, true
		}
		rest, ok = bytes.CutPrefix(rest, []byte(","))
	}
	return r, false
}

// cutKey takes `"key":` off the front.
func cutKey(s []byte) (key, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '"' {
		return nil, nil, false
	}
	i := bytes.IndexByte(s[1:], '"')
	if i < 0 || len(s) < i+3 || s[i+2] != ':' {
		return nil, nil, false
	}
	return s[1 : i+1], s[i+3:], true
}

// setField takes the value of one field off the front.
func (r *Record) setField(key, s []byte) (rest []byte, ok bool) {
	if p := r.text(key); p != nil {
		*p, rest, ok = cutString(s)
		return rest, ok
	}
	if p := r.number(key); p != nil {
		*p, rest, ok = cutNumber(s)
		return rest, ok
	}
	switch string(key) {
	case "time":
		i := bytes.IndexByte(s[min(1, len(s)):], '"')
		if i < 0 || r.Time.UnmarshalJSON(s[:i+2]) != nil {
			return nil, false
		}
		return s[i+2:], true
	case "excerpt_escaped":
		r.Escaped = true // that it is not is never written
		return bytes.CutPrefix(s, []byte("true"))
	case "version", "exit":
		n, rest, ok := cutNumber(s)
		small := int(n)
		if string(key) == "version" {
			r.Version = small
		} else {
			r.Exit = &small
		}
		return rest, ok && int64(small) == n
	}
	return nil, false
}

func (r *Record) text(key []byte) *string {
	switch string(key) {
	case "event":
		return (*string)(&r.Event)
	case "qube":
		return &r.Qube
	case "id":
		return &r.ID
	case "key":
		return &r.Key
	case "kind":
		return &r.Kind
	case "uuid":
		return &r.UUID
	case "request":
		return &r.Request
	case "body":
		return &r.Body
	case "stdin":
		return &r.Stdin
	case "command":
		return &r.Command
	case "state":
		return (*string)(&r.State)
	case "reason":
		return &r.Reason
	case "rule":
		return &r.Rule
	case "hash":
		return &r.Hash
	case "out":
		return &r.Out
	case "err":
		return &r.Err
	case "out_head":
		return &r.OutHead
	case "out_tail":
		return &r.OutTail
	case "err_head":
		return &r.ErrHead
	case "err_tail":
		return &r.ErrTail
	case "checkpoint":
		return &r.Checkpoint
	case "nonce":
		return &r.Nonce
	case "head":
		return &r.Head
	case "who":
		return &r.Who
	case "way":
		return &r.Way
	case "detail":
		return &r.Detail
	}
	return nil
}

func (r *Record) number(key []byte) *int64 {
	switch string(key) {
	case "seq":
		return &r.Seq
	case "number":
		return &r.Number
	case "issued":
		return &r.Issued
	case "expires":
		return &r.Expires
	case "timeout":
		return &r.Timeout
	case "started_at":
		return &r.StartedAt
	case "duration_ms":
		return &r.Duration
	case "out_left":
		return &r.OutLeft
	case "err_left":
		return &r.ErrLeft
	case "floor":
		return &r.Floor
	case "count":
		return &r.Count
	case "oldest":
		return &r.Oldest
	}
	return nil
}

// cutNumber takes an integer of at most 18 digits off the front.
func cutNumber(s []byte) (n int64, rest []byte, ok bool) {
	digits, negative := bytes.CutPrefix(s, []byte("-"))
	i := 0
	for i < len(digits) && digits[i] >= '0' && digits[i] <= '9' {
		n = n*10 + int64(digits[i]-'0')
		if i++; i > 18 {
			return 0, nil, false
		}
	}
	if i == 0 || digits[0] == '0' && i > 1 {
		return 0, nil, false
	}
	if negative {
		n = -n
	}
	return n, digits[i:], true
}

// cutString takes a JSON string off the front.
func cutString(s []byte) (value string, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '"' {
		return "", nil, false
	}
	simple := true
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			text := s[1:i]
			switch {
			case simple:
				return string(text), s[i+1:], true
			case bytes.IndexByte(text, '\\') < 0:
				return string(text), s[i+1:], utf8.Valid(text)
			}
			value, ok = unescape(text)
			if !ok {
				ok = json.Unmarshal(s[:i+1], &value) == nil
			}
			return value, s[i+1:], ok
		case c < 0x20:
			return "", nil, false
		case c == '\\':
			simple = false
			i++
		case c >= 0x80:
			simple = false
		}
	}
	return "", nil, false
}

// unescape resolves the escapes of one letter; ok is false when there are
// others.
func unescape(text []byte) (value string, ok bool) {
	if !utf8.Valid(text) {
		return "", false
	}
	var b strings.Builder
	b.Grow(len(text))
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 || i+1 == len(text) {
			b.Write(text)
			return b.String(), i < 0
		}
		b.Write(text[:i])
		switch text[i+1] {
		case '"', '\\', '/':
			b.WriteByte(text[i+1])
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		default:
			return "", false
		}
		text = text[i+2:]
	}
}
