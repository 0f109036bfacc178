package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"qvmremote/daemon/files"
	"qvmremote/queue/piece"
)

// What a qube asks for to move a file: each is one plain command, whose words a
// policy can name one by one. They take no options, so that no word of a qube's
// choice is one.

// overwrite is the last word of a file-put that may replace a file.
const overwrite = "overwrite"

func (a *app) fileGet() *cobra.Command {
	return a.pieces("file-get PATH OFFSET LENGTH", "Print a piece of a file, for qvm-remote pull",
		"Prints LENGTH bytes, at most 8388608, of the regular file PATH. On stderr comes a\n"+
			"line about the whole file. With 0 0 nothing is printed, and that line holds the\nfile's SHA-256.",
		func(ctx context.Context, words []string) (piece.State, error) {
			if len(words) != 3 {
				return piece.State{}, errWords
			}
			offset, err := piece.ParseSize(words[1])
			if err != nil {
				return piece.State{}, err
			}
			length, err := piece.ParseSize(words[2])
			if err != nil {
				return piece.State{}, err
			}
			return files.Get(ctx, a.out, words[0], offset, length)
		})
}

func (a *app) filePut() *cobra.Command {
	return a.pieces("file-put PATH SIZE SHA256 begin|OFFSET|drop [overwrite]", "Take a piece of a file, for qvm-remote push",
		"Adds what stdin has to the part of the file PATH of SIZE bytes, at OFFSET, which is\n"+
			"the part's end. With its last byte the file is put in its place, if it has that\n"+
			"SHA-256. begin says on stderr how much is there, drop removes the part.\n"+
			"A file that is there is replaced only with the word overwrite.",
		func(ctx context.Context, words []string) (piece.State, error) {
			last := len(words) - 1
			if len(words) != 4 && (len(words) != 5 || words[last] != overwrite) {
				return piece.State{}, errWords
			}
			size, err := piece.ParseSize(words[1])
			if err != nil {
				return piece.State{}, err
			}
			t := files.Target{Path: words[0], Size: size, SHA256: words[2], Overwrite: len(words) == 5}
			switch words[3] {
			case "begin":
				return t.Begin(time.Now())
			case "drop":
				return t.Drop()
			}
			offset, err := piece.ParseSize(words[3])
			if err != nil {
				return piece.State{}, err
			}
			return t.Write(ctx, a.in, offset)
		})
}

var errWords = errors.New("wrong words")

// pieces is a command whose arguments are words and whose answer is a line on
// stderr; its exit code says what is in the way.
func (a *app) pieces(use, short, long string, do func(context.Context, []string) (piece.State, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Long: short + ".\n\n" + long, DisableFlagParsing: true, DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, words []string) error {
			if len(words) > 0 {
				switch words[0] {
				case "-h", "--help":
					return c.Help()
				case "--":
					words = words[1:]
				}
			}
			state, err := do(c.Context(), words)
			if errors.Is(err, errWords) {
				return fmt.Errorf("usage: %s", c.UseLine())
			}
			if err != nil {
				return exitError{err, files.Code(err)}
			}
			fmt.Fprintln(a.err, state)
			return nil
		}}
}
