package backup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"qvmremote/client"
)

// Choice is what to take out of a backup besides the history.
type Choice struct {
	Log      bool // its lines join those that are here
	Settings bool // in place of those that are here
	Keys     bool
	// Passphrase opens the keys.
	Passphrase string
	// ReplaceKey has them take the place of another key that is here.
	ReplaceKey bool
}

// Restored is what a restore did.
type Restored struct {
	Safety   string // the archive of what was here before
	Added    int    // entries of the history
	Present  int    // entries that were here already, and stayed as they are
	Old      int    // added ones that the history will not keep for their age
	LogLines int
	Settings bool
	Keys     bool
}

// Restore checks the archive at path, makes a safety archive and then adds what
// is missing here. An error after the check says what was done until then.
func (k *Keeper) Restore(ctx context.Context, path string, ch Choice) (Restored, error) {
	a, closeFile, err := k.openArchive(path)
	if err != nil {
		return Restored{}, err
	}
	defer closeFile()
	return k.Merge(ctx, a.each, ch)
}

// Merge is Restore from any source.
func (k *Keeper) Merge(ctx context.Context, from Source, ch Choice) (Restored, error) {
	c, err := check(ctx, from, k.limits)
	if err != nil {
		return Restored{}, err
	}
	var both keys
	if ch.Keys {
		if !c.Keys {
			return Restored{}, ErrNoKeys
		}
		if both, err = k.unseal(c.small[keyName], ch.Passphrase); err != nil {
			return Restored{}, err
		}
		if now, err := k.Client.Key(); err == nil && !now.Equal(both.now) && !ch.ReplaceKey {
			return Restored{}, client.ErrKeyExists
		}
	}
	if err := k.Client.Prepare(); err != nil {
		return Restored{}, err
	}
	root, err := openFolder(k.Client.Layout.Root)
	if err != nil {
		return Restored{}, fmt.Errorf("cannot restore: %w", err)
	}
	defer root.close()
	history, err := root.sub("history")
	if err != nil {
		return Restored{}, fmt.Errorf("cannot restore: %w", err)
	}
	defer history.close()
	if err := history.lock(); err != nil {
		return Restored{}, err
	}
	k.step("locked")
	safety, err := k.create(ctx, safetyPrefix, "")
	if err != nil {
		return Restored{}, fmt.Errorf("nothing was restored, for what is here could not be saved first: %w", err)
	}
	k.step("safe")
	done := Restored{Safety: safety.Path}
	s := stage{k: k, history: history, contents: c, done: &done}
	if err := s.run(ctx, from); err != nil {
		return done, fmt.Errorf("cannot restore the history: %w", client.Explain(err))
	}
	err = k.rest(root, c, ch, both, &done)
	return done, err
}

// rest restores what is not of the history.
func (k *Keeper) rest(root folder, c Contents, ch Choice, both keys, done *Restored) (err error) {
	if ch.Log {
		if done.LogLines, err = mergeLog(root, c.small[oldLogName], c.small[LogName]); err != nil {
			return fmt.Errorf("cannot restore the log: %w", client.Explain(err))
		}
	}
	if text, ok := c.small[settingsName]; ok && ch.Settings {
		if err := k.placeSettings(text); err != nil {
			return fmt.Errorf("cannot restore the settings: %w", client.Explain(err))
		}
		done.Settings = true
	}
	if ch.Keys {
		if done.Keys, err = k.placeKeys(both, ch.ReplaceKey); err != nil {
			return fmt.Errorf("cannot restore the key: %w", err)
		}
	}
	return nil
}

func (k *Keeper) placeSettings(text []byte) error {
	if err := os.MkdirAll(k.Settings, 0o700); err != nil {
		return err
	}
	d, err := openFolder(k.Settings)
	if err != nil {
		return err
	}
	defer d.close()
	temp := scratch(scratchPrefix) + scratchEnding
	if err := d.write(temp, text); err != nil {
		return err
	}
	if err := unix.Renameat(d.fd(), temp, d.fd(), "client.conf"); err != nil {
		d.remove(temp)
		return err
	}
	return nil
}

// write makes a new file with that text.
func (d folder) write(name string, text []byte) error {
	f, err := d.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		d.remove(name)
	}
	return err
}

// Find is the path of an archive: a path as it is, or a name that is listed.
func (k *Keeper) Find(name string) string {
	if !strings.Contains(name, "/") && archiveName.MatchString(name) {
		if _, err := os.Lstat(name); err != nil {
			return filepath.Join(k.Dir, name)
		}
	}
	return name
}
