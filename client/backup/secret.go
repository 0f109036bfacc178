package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"qvmremote/client"
	"qvmremote/queue"
)

// workFactor makes one try of a passphrase cost about a second and 256 MiB. An
// archive that asks for more is not read.
const workFactor = 18

// MinPassphrase is how many bytes a passphrase must have: whoever has the
// archive can try as many as they like.
const MinPassphrase = 10

var (
	// ErrPassphrase says that a passphrase does not open the keys.
	ErrPassphrase = errors.New("the passphrase does not open the keys in this backup")
	// ErrShortPassphrase says that a passphrase is too easy to find.
	ErrShortPassphrase = fmt.Errorf("the passphrase must have at least %d characters", MinPassphrase)
	// ErrNoKeys says that a backup has no keys.
	ErrNoKeys = errors.New("this backup holds no key")
)

// keys are those of a qube: the present one, and the one before it or none.
type keys struct{ now, old queue.Key }

func (k *Keeper) ownKeys() (keys, error) {
	now, err := k.Client.Key()
	if err != nil {
		return keys{}, err
	}
	both := keys{now: now}
	if b, err := queue.ReadSmall(k.Client.OldKey(), 256); err == nil {
		both.old, _ = queue.ParseKey(b) // one that is none is no loss
	}
	return both, nil
}

// seal encrypts keys with a passphrase, in the format of age.
func (k *Keeper) seal(both keys, passphrase string) ([]byte, error) {
	if len(passphrase) < MinPassphrase {
		return nil, ErrShortPassphrase
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("cannot encrypt the keys: %w", err)
	}
	r.SetWorkFactor(k.work)
	var b bytes.Buffer
	w, err := age.Encrypt(&b, r)
	if err != nil {
		return nil, fmt.Errorf("cannot encrypt the keys: %w", err)
	}
	text := fmt.Sprintf("key %s\n", both.now.Reveal())
	if !both.old.IsZero() {
		text += fmt.Sprintf("old %s\n", both.old.Reveal())
	}
	if _, err := io.WriteString(w, text); err != nil {
		return nil, fmt.Errorf("cannot encrypt the keys: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("cannot encrypt the keys: %w", err)
	}
	return b.Bytes(), nil
}

// unseal decrypts what seal gave.
func (k *Keeper) unseal(sealed []byte, passphrase string) (keys, error) {
	if passphrase == "" {
		return keys{}, ErrPassphrase
	}
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return keys{}, fmt.Errorf("%w: %w", ErrPassphrase, err)
	}
	id.SetMaxWorkFactor(k.work)
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return keys{}, ErrPassphrase
	}
	if err != nil {
		return keys{}, fmt.Errorf("%w: the keys: %w", ErrDamaged, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, 512))
	if err != nil {
		return keys{}, fmt.Errorf("%w: the keys: %w", ErrDamaged, err)
	}
	var both keys
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, " ")
		key, err := queue.ParseKey([]byte(value))
		if err != nil {
			return keys{}, fmt.Errorf("%w: the keys: %w", ErrDamaged, err)
		}
		switch name {
		case "key":
			both.now = key
		case "old":
			both.old = key
		}
	}
	if both.now.IsZero() {
		return keys{}, ErrNoKeys
	}
	return both, nil
}

// placeKeys makes the keys of a backup this qube's. Without replace a key that
// is there stays; one that is replaced is kept, as ever.
func (k *Keeper) placeKeys(both keys, replace bool) (placed bool, err error) {
	now, err := k.Client.Key()
	switch {
	case err == nil && now.Equal(both.now):
		return false, nil
	case !errors.Is(err, client.ErrNoKey) && !replace:
		return false, client.ErrKeyExists
	}
	if err := k.Client.ImportKey(both.now); err != nil {
		return false, err
	}
	if _, err := queue.ReadSmall(k.Client.OldKey(), 256); err != nil && !both.old.IsZero() {
		if err := queue.Publish(k.Client.OldKey(), both.old.Reveal()); err != nil {
			return true, err
		}
	}
	return true, nil
}
