package gbs_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"lafs/onion/oniontest"
	"lafs/shares/caps"
	"lafs/shares/storage"
	"lafs/shares/storage/gbs"
)

// Who asks for space again hears what of the upload under way is missing.
// Where it is not asked our way, the upload goes on all the same.
func TestMissingIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		notOurs bool
		want    map[storage.ShareNumber][]storage.Range
	}{
		"our server":   {false, map[storage.ShareNumber][]storage.Range{3: {{Begin: 0, End: 100}, {Begin: 150, End: 1000}}}},
		"another kind": {true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := gbs.NewHandler(gbs.HandlerConfig{Authorize: authorize(openStore(t, time.Now))})
			c := gbs.NewClient(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.notOurs && r.URL.Path[:5] == "/lafs" {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				h.ServeHTTP(w, r)
			}), oniontest.Options{}), storage.NewSwissnum(swissnum))
			si, upload, lease := caps.StorageIndex{1}, storage.GenerateUploadSecret(), &storage.LeaseSecrets{}
			ask := func() storage.Allocation {
				a, err := c.Allocate(t.Context(), si, []storage.ShareNumber{3, 5}, 1000, upload, lease)
				if err != nil || !slices.Equal(a.Allocated, []storage.ShareNumber{3, 5}) {
					t.Fatalf("Allocate: got %+v, %v", a, err)
				}
				return a
			}
			if a := ask(); len(a.Missing) != 0 {
				t.Errorf("first Allocate: got %v missing, want nothing told", a.Missing)
			}
			if _, err := c.Write(t.Context(), si, 3, upload, 100, make([]byte, 50)); err != nil {
				t.Fatal(err)
			}
			a := ask()
			if len(a.Missing) != len(tt.want) || !slices.Equal(a.Missing[3], tt.want[3]) {
				t.Errorf("second Allocate: got %v missing, want %v", a.Missing, tt.want)
			}
		})
	}
}

// What a server may not answer to a question for space.
func TestSpaceHostile(t *testing.T) {
	const lists = "6c616c72656164792d68617665" + "d9010280" + "69616c6c6f6361746564" + "d901028101"
	missing := func(number, begin, end string) string {
		return "a3" + "666e756d626572" + number + "65626567696e" + begin + "63656e64" + end
	}
	for name, body := range map[string]string{
		"a share that is not allocated": "a3" + lists + "676d697373696e67" + "81" + missing("02", "00", "01"),
		"beyond the share":              "a3" + lists + "676d697373696e67" + "81" + missing("01", "00", "0b"),
		"an empty range":                "a3" + lists + "676d697373696e67" + "81" + missing("01", "03", "03"),
		"backwards":                     "a3" + lists + "676d697373696e67" + "82" + missing("01", "03", "04") + missing("01", "00", "01"),
		"overlapping":                   "a3" + lists + "676d697373696e67" + "82" + missing("01", "00", "04") + missing("01", "03", "05"),
		"no lists":                      "a1" + "676d697373696e67" + "80",
	} {
		t.Run(name, func(t *testing.T) {
			h := says(200, cborHeader, unhex(body))
			c := gbs.NewClient(answering{t, h}, storage.NewSwissnum(swissnum))
			_, err := c.Allocate(t.Context(), caps.StorageIndex{1}, []storage.ShareNumber{1}, 10, storage.GenerateUploadSecret(), &storage.LeaseSecrets{})
			if !errors.Is(err, storage.ErrPeer) {
				t.Errorf("Allocate: got %v, want ErrPeer", err)
			}
		})
	}
	good := says(200, cborHeader, unhex("a3"+lists+"676d697373696e67"+"81"+missing("01", "03", "04")))
	c := gbs.NewClient(answering{t, good}, storage.NewSwissnum(swissnum))
	a, err := c.Allocate(t.Context(), caps.StorageIndex{1}, []storage.ShareNumber{1}, 10, storage.GenerateUploadSecret(), &storage.LeaseSecrets{})
	if err != nil || !slices.Equal(a.Missing[1], []storage.Range{{Begin: 3, End: 4}}) {
		t.Errorf("Allocate: got %+v, %v, want [3, 4) of share 1 missing", a, err)
	}
}
