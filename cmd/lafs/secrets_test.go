package main

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"lafs/shares/caps"
)

// cmdNoSecret is `nosecret CAPFILE... -- DIR... -- OUTPUT...`: neither the log of the
// nodes, at debug level, nor the outputs hold a cap, a key, a secret of
// private/, a swissnum, a full storage index or a full onion address.
func cmdNoSecret(ts *testscript.TestScript, neg bool, args []string) {
	capFiles, dirs, outputs := splitArgs(args)
	g := ts.Value(gridKey{}).(*testGrid)
	texts := map[string]string{"the log": g.log.String()}
	if len(texts["the log"]) < 500 {
		ts.Fatalf("the log has %d bytes: is it at debug level?", len(texts["the log"]))
	}
	for _, o := range outputs {
		texts[o] = ts.ReadFile(o)
	}
	var secrets []string
	for _, f := range capFiles {
		secrets = append(secrets, capSecrets(ts, strings.TrimSpace(ts.ReadFile(f)))...)
	}
	for _, d := range dirs {
		secrets = append(secrets, dirSecrets(ts, ts.MkAbs(d))...)
	}
	found := false
	for name, text := range texts {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				found = true
				if !neg {
					ts.Fatalf("%s holds a secret that begins with %.12q", name, s)
				}
			}
		}
	}
	if neg && !found {
		ts.Fatalf("nothing was found")
	}
}

func splitArgs(args []string) (a, b, c []string) {
	parts := [3][]string{}
	i := 0
	for _, arg := range args {
		if arg == "--" {
			i++
			continue
		}
		parts[i] = append(parts[i], arg)
	}
	return parts[0], parts[1], parts[2]
}

// capSecrets lists what of a cap may stand nowhere: the cap, its key and its
// whole storage index, in each way of writing bytes that a log may have.
func capSecrets(ts *testscript.TestScript, text string) []string {
	c, err := caps.Parse(text)
	ts.Check(err)
	out := []string{text}
	if ro := c.ReadOnly(); ro != nil {
		out = append(out, ro.Reveal())
	}
	if d, ok := c.(*caps.Directory); ok {
		c = d.File()
		out = append(out, c.Reveal())
	}
	if w, ok := c.(*caps.MutableWriter); ok {
		si := w.StorageIndex()
		out = append(out, spellings(w.Key.Bytes())...)
		out = append(out, spellings(si[:])...)
	}
	if chk, ok := c.(*caps.CHK); ok {
		si := chk.StorageIndex()
		out = append(out, spellings(chk.Key.Bytes())...)
		out = append(out, spellings(si[:])...)
	}
	return out
}

func spellings(b []byte) []string {
	return []string{
		caps.Encoding.EncodeToString(b),
		strings.ToUpper(caps.Encoding.EncodeToString(b)),
		base32.StdEncoding.EncodeToString(b),
		hex.EncodeToString(b),
		strings.ToUpper(hex.EncodeToString(b)),
		base64.StdEncoding.EncodeToString(b),
		base64.RawURLEncoding.EncodeToString(b),
		strings.Trim(fmt.Sprint(b), "[]"),
	}
}

// long finds what looks like a secret in a file of private/: long runs of
// base32 or base64.
var long = regexp.MustCompile(`[A-Za-z0-9+/_-]{26,}`)

// dirSecrets lists every long word of the files in private/, and the base64
// forms of those that a protocol sends encoded.
func dirSecrets(ts *testscript.TestScript, dir string) []string {
	var out []string
	err := filepath.WalkDir(filepath.Join(dir, "private"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, word := range long.FindAllString(string(b), -1) {
			out = append(out, word, base64.StdEncoding.EncodeToString([]byte(word)))
		}
		return nil
	})
	ts.Check(err)
	if len(out) == 0 {
		ts.Fatalf("%s/private holds nothing", dir)
	}
	return out
}
