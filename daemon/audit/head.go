package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"qvmremote/daemon/disk"
)

// origin is the first line of every head and the name of the key.
const origin = "qvm-remote"

const (
	maxHead = 4 << 10 // bytes of a signed head
	maxKey  = 4 << 10 // bytes of key and of key.pub
)

// head is what the log signs: so many records with this root.
type head struct {
	n    int64
	root tlog.Hash
	text string // the signed note
}

func headText(n int64, root tlog.Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, n, root)
}

// parseHead reads a signed head and believes it when one of the known keys
// signed it.
func parseHead(text string, known note.Verifiers) (head, error) {
	if len(text) > maxHead {
		return head{}, errors.New("signed head is too long")
	}
	n, err := note.Open([]byte(text), known)
	if err != nil {
		return head{}, fmt.Errorf("signed head: %w", err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		return head{}, errors.New("signed head does not have the form of this log")
	}
	h := head{text: text}
	if h.n, err = strconv.ParseInt(lines[1], 10, 64); err != nil || h.n < 1 {
		return head{}, errors.New("signed head has no number of records")
	}
	if h.root, err = tlog.ParseHash(lines[2]); err != nil {
		return head{}, fmt.Errorf("signed head: %w", err)
	}
	if headText(h.n, h.root) != n.Text {
		return head{}, errors.New("signed head is not in its one spelling")
	}
	return h, nil
}

// readHead reads dir/head; an error that wraps fs.ErrNotExist says there is
// none.
func readHead(dir string, known note.Verifiers) (head, error) {
	text, err := readSmall(filepath.Join(dir, headName), maxHead)
	if err != nil {
		return head{}, fmt.Errorf("cannot read the signed head: %w", err)
	}
	return parseHead(string(text), known)
}

// signingKey signs heads. The private part never leaves this value.
type signingKey struct {
	signer note.Signer
	known  note.Verifiers // this key and those that the log had before
	fresh  bool           // made just now
}

func (k *signingKey) sign(n int64, root tlog.Hash) (head, error) {
	text, err := note.Sign(&note.Note{Text: headText(n, root)}, k.signer)
	if err != nil {
		return head{}, fmt.Errorf("cannot sign the head of the audit log: %w", err)
	}
	return head{n, root, string(text)}, nil
}

// loadKey reads the signing key of the log, or makes one. Call it with the lock
// held. key.pub has one public key a line; a line stays when a lost private
// key had to be replaced, so that older heads can still be checked.
func loadKey(dir string) (*signingKey, error) {
	path := filepath.Join(dir, keyName)
	secret, err := readSmall(path, maxKey)
	fresh := missing(err)
	if fresh {
		var s string
		if s, _, err = note.GenerateKey(rand.Reader, origin); err == nil {
			secret = []byte(s + "\n")
			err = disk.Replace("audit.key", path, secret, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("signing key of the audit log: %w", err)
	}
	text := strings.TrimSpace(string(secret))
	signer, err := note.NewSigner(text)
	if err != nil || signer.Name() != origin {
		// The error of note could hold a part of the key.
		return nil, fmt.Errorf("%s is not a signing key; move it away and a new one is made", path)
	}
	public, err := publicKey(text)
	if err != nil {
		return nil, err
	}
	known, err := storePublic(filepath.Join(dir, pubName), public)
	if err != nil {
		return nil, err
	}
	return &signingKey{signer, known, fresh}, nil
}

// publicKey derives the public line from the private one.
func publicKey(secret string) (string, error) {
	parts := strings.Split(secret, "+")
	raw, err := base64.StdEncoding.DecodeString(strings.Join(parts[min(4, len(parts)):], "+"))
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("signing key of the audit log is damaged; move it away and a new one is made")
	}
	private := ed25519.NewKeyFromSeed(raw[1:])
	return note.NewEd25519VerifierKey(origin, private.Public().(ed25519.PublicKey))
}

// storePublic sees to it that public is the last line of the file at path.
func storePublic(path, public string) (note.Verifiers, error) {
	old, err := readSmall(path, maxKey)
	if err != nil && !missing(err) {
		return nil, fmt.Errorf("public key of the audit log: %w", err)
	}
	lines := strings.Fields(string(old))
	if len(lines) == 0 || lines[len(lines)-1] != public {
		lines = append(lines, public)
		lines = lines[max(0, len(lines)-16):]
		if err := disk.Replace("audit.public", path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	return verifiers(lines)
}

// readVerifiers reads the public keys of a log without opening it.
func readVerifiers(dir string) (note.Verifiers, error) {
	text, err := readSmall(filepath.Join(dir, pubName), maxKey)
	if err != nil {
		return nil, fmt.Errorf("cannot read the public key of the audit log: %w", err)
	}
	return verifiers(strings.Fields(string(text)))
}

func verifiers(lines []string) (note.Verifiers, error) {
	var list []note.Verifier
	for i, line := range lines {
		v, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("%s line %d: %w", pubName, i+1, err)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is empty: %w", pubName, os.ErrInvalid)
	}
	return note.VerifierList(list...), nil
}

const checkpointPrefix = "sha256:"

// NewCheckpoint commits to a signed head: checkpoint is "sha256:" and the hex
// SHA-256 of nonce and head. The qube gets the checkpoint, which tells it
// nothing; the delivered record keeps nonce (in hex) and head.
func NewCheckpoint(head string) (nonce [32]byte, checkpoint string, err error) {
	if head == "" {
		return nonce, "", errors.New("no signed head to make a checkpoint of")
	}
	if _, err := rand.Read(nonce[:]); err != nil {
		return nonce, "", fmt.Errorf("cannot make a checkpoint: %w", err)
	}
	return nonce, checkpointOf(nonce[:], head), nil
}

func checkpointOf(nonce []byte, head string) string {
	h := sha256.New()
	h.Write(nonce)
	h.Write([]byte(head))
	return checkpointPrefix + hex.EncodeToString(h.Sum(nil))
}

// parseCheckpoint accepts the one spelling of a checkpoint, spaces around it
// forgiven: people copy it from paper.
func parseCheckpoint(s string) (string, error) {
	s = strings.TrimSpace(s)
	digits, ok := strings.CutPrefix(s, checkpointPrefix)
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw) != sha256.Size || digits != strings.ToLower(digits) {
		return "", fmt.Errorf("%.100q is not a checkpoint: it must be sha256: and 64 hex digits", s)
	}
	return s, nil
}
