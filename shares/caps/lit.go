package caps

// A LIT is a cap that holds the whole of a small file itself: nothing is
// stored anywhere. Secret.
type LIT struct {
	secret
	data string
}

// NewLIT returns a LIT that holds a copy of data.
func NewLIT(data []byte) *LIT { return &LIT{data: string(data)} }

// Kind returns KindLIT.
func (*LIT) Kind() Kind { return KindLIT }

// Reveal returns the whole text.
func (l *LIT) Reveal() string { return KindLIT.prefix() + Encoding.EncodeToString([]byte(l.data)) }

// ReadOnly returns the cap itself.
func (l *LIT) ReadOnly() Cap { return l }

// Verifier returns nil: there are no shares.
func (*LIT) Verifier() Cap { return nil }

// Data returns a copy of the file's content. Secret.
func (l *LIT) Data() []byte { return []byte(l.data) }

// Size is the file's size in bytes.
func (l *LIT) Size() int64 { return int64(len(l.data)) }

func parseLIT(field string) (Cap, error) {
	data, err := Decode(field)
	if err != nil {
		return nil, err
	}
	return NewLIT(data), nil
}
