package node

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"lafs/introducer"
	"lafs/node/durable"
	"lafs/shares/caps"
	"lafs/shares/storage"
)

// secrets are what a node keeps in private/. They are passed by pointer, and
// no verb prints them.
type secrets struct {
	*identity
	// lease and convergence are 32 bytes each (private/secret,
	// private/convergence).
	lease       *[32]byte
	convergence []byte
	// swissnum is the right to store on this node (private/storage.furl).
	swissnum *storage.Swissnum
	// publish is the right to announce at this introducer
	// (private/introducer.furl).
	publish *introducer.Secret
}

// Format prints [secret], whatever the verb.
func (*secrets) Format(f fmt.State, _ rune) { io.WriteString(f, "[secret]") }

// LogValue logs [secret].
func (*secrets) LogValue() slog.Value { return slog.StringValue("[secret]") }

func loadSecrets(c *Config) (*secrets, error) {
	unlock, err := c.Dir.lockSecrets()
	if err != nil {
		return nil, err
	}
	defer unlock()
	id, err := loadIdentity(c)
	if err != nil {
		return nil, err
	}
	s := &secrets{identity: id}
	if c.Client {
		if err := s.loadClient(c.Dir); err != nil {
			return nil, err
		}
	}
	if c.Storage {
		if err := s.loadStorage(c.Dir); err != nil {
			return nil, err
		}
	}
	if c.Introducer {
		if err := s.loadIntroducer(c.Dir); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// loadIntroducer reads the introducer's secret from its FURL, and writes both
// FURLs again where the onion address has changed.
func (s *secrets) loadIntroducer(d Dir) error {
	text, err := ensure(d.IntroducerFURLFile(), func() (string, error) {
		return introducer.NewFURL(s.addr, introducer.GenerateSecret()).Reveal(), nil
	})
	if err != nil {
		return fmt.Errorf("introducer's address: %w", err)
	}
	furl, err := introducer.ParseFURL(text)
	if err != nil {
		return fmt.Errorf("private/introducer.furl is damaged: %w", err)
	}
	if s.publish = furl.PublishSecret(); s.publish == nil {
		return errors.New("private/introducer.furl is damaged: it should hold the FURL that may publish")
	}
	now := introducer.NewFURL(s.addr, s.publish)
	for file, text := range map[string]string{
		d.IntroducerFURLFile(): now.Reveal(),
		d.SubscriberFURLFile(): now.ReadOnly().Reveal(),
	} {
		if have, err := readLine(file); err == nil && have == text {
			continue
		}
		if err := durable.WriteFile(file, []byte(text+"\n"), fileMode); err != nil {
			return fmt.Errorf("write introducer's address: %w", err)
		}
	}
	return nil
}

func (s *secrets) loadClient(d Dir) error {
	lease, err := ensureBase32(d.path("private", "secret"))
	if err != nil {
		return err
	}
	if len(lease) != 32 {
		return errors.New("private/secret is damaged: it should hold 32 bytes in base32")
	}
	s.lease = (*[32]byte)(lease)
	s.convergence, err = ensureBase32(d.path("private", "convergence"))
	return err
}

// loadStorage reads the storage address, and writes it again where the onion
// address has changed: the swissnum, which is the right to store, stays.
func (s *secrets) loadStorage(d Dir) error {
	file := d.path("private", "storage.furl")
	text, err := ensure(file, func() (string, error) {
		return s.storageFURL(storage.NewSwissnum(random32(20))), nil
	})
	if err != nil {
		return fmt.Errorf("storage address: %w", err)
	}
	cut := strings.LastIndexByte(text, '/')
	if cut < 0 || len(text)-cut < 2 || !strings.HasPrefix(text, "pb://") {
		return errors.New("private/storage.furl is damaged: it should hold pb://TUBID@tor:ONION:PORT/SWISSNUM")
	}
	s.swissnum = storage.NewSwissnum(text[cut+1:])
	if now := s.storageFURL(s.swissnum); now != text {
		return durable.WriteFile(file, []byte(now+"\n"), fileMode)
	}
	return nil
}

// ensureBase32 reads a secret of Tahoe-LAFS's shape, and makes one of 32
// bytes where there is none. Its errors never quote the file.
func ensureBase32(path string) ([]byte, error) {
	text, err := ensure(path, func() (string, error) { return random32(32), nil })
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	raw, err := caps.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("a file in private/ is damaged: it should hold base32")
	}
	return raw, nil
}

// random32 returns n random bytes in base32.
func random32(n int) string {
	b := make([]byte, n)
	rand.Read(b) // It never fails: it ends the program first.
	return caps.Encoding.EncodeToString(b)
}

// writeToken makes the token of this run, which lets other programs use the
// parts of the web API that ask for it.
func writeToken(d Dir) error {
	b := make([]byte, 32)
	rand.Read(b) // It never fails: it ends the program first.
	token := base64.URLEncoding.EncodeToString(b)
	if err := durable.WriteFile(d.tokenFile(), []byte(token), fileMode); err != nil {
		return fmt.Errorf("write private/api_auth_token: %w", err)
	}
	return nil
}
