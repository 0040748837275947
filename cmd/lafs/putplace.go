package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"lafs/shares/caps"
	"lafs/shares/mutable"
)

// putOptions are the flags of put.
type putOptions struct {
	mutable bool
	format  string
	keyFile string
}

// request is the path of the request that stores src at the place dst, of
// which the zero value is none. It may hold a key and a cap.
func (o putOptions) request(src string, dst place) (string, error) {
	q, err := o.query()
	if err != nil {
		return "", err
	}
	path := "/uri"
	switch {
	case dst.cap == "":
	case len(dst.names) > 0 || directory(dst.cap):
		if dst, err = named(src, dst); err != nil {
			return "", err
		}
		path = dst.url()
		q.Set("replace", "only-files")
	default:
		if len(q) > 0 {
			return "", errors.New("the content of a file that exists is replaced as it is: --mutable, --format and --private-key-path are for new files")
		}
		path = dst.url()
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path, nil
}

// immutable tells whether a new file that cannot be changed is stored, as far
// as is known before the node is asked.
func (o putOptions) immutable(dst place) bool {
	return !o.mutable && o.keyFile == "" && (o.format == "" || strings.EqualFold(o.format, "CHK")) &&
		(dst.cap == "" || len(dst.names) > 0 || directory(dst.cap))
}

// named gives a file put into a directory the name that it has on the disk.
func named(src string, dst place) (place, error) {
	if len(dst.names) > 0 && !dst.slash {
		return dst, nil
	}
	name := filepath.Base(src)
	if src == "-" || name == "." || name == ".." || name == "/" {
		return place{}, errors.New("a name is needed for the file: give its whole path on the grid")
	}
	return dst.child(name), nil
}

// directory tells whether a cap names a directory, or may.
func directory(cap string) bool {
	c, err := caps.Parse(cap)
	if err != nil {
		return false
	}
	_, ok := c.(*caps.Directory)
	return ok || c.Kind() == caps.KindUnknown
}

func (o putOptions) query() (url.Values, error) {
	q := url.Values{}
	format := strings.ToUpper(o.format)
	switch {
	case format == "" && o.mutable:
		q.Set("mutable", "true")
	case format == "CHK" && (o.mutable || o.keyFile != ""):
		return nil, errors.New("a CHK file cannot be changed: leave --mutable and --private-key-path out, or choose --format SDMF or MDMF")
	case format == "CHK", format == "SDMF", format == "MDMF":
		q.Set("format", format)
	case format != "":
		return nil, errors.New("--format is SDMF, MDMF or CHK")
	}
	if o.keyFile == "" {
		return q, nil
	}
	if len(q) == 0 {
		q.Set("mutable", "true")
	}
	key, err := readKey(o.keyFile)
	if err != nil {
		return nil, err
	}
	q.Set("private-key", key)
	return q, nil
}

// maxKey bounds a file with a key, in bytes.
const maxKey = 64 << 10

// readKey reads an RSA key and returns it as a request carries it: PKCS#8 in
// the base64 of URLs. Its errors never quote it.
func readKey(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st.Size() > maxKey {
		return "", fmt.Errorf("%s is too large for a key", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if _, err := mutable.ParsePEM(text); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	block, _ := pem.Decode(text)
	der := block.Bytes
	if old, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		if der, err = x509.MarshalPKCS8PrivateKey(old); err != nil {
			return "", fmt.Errorf("%s: %w", path, mutable.ErrKey)
		}
	}
	return base64.URLEncoding.EncodeToString(der), nil
}
