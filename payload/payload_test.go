package payload

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	keyA = "a:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	keyB = "b:ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"
)

func parse(t testing.TB, text string) *Keys {
	t.Helper()
	k, err := ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func said(words string) []*common.Payload {
	return []*common.Payload{{Metadata: map[string][]byte{converter.MetadataEncoding: []byte("json/plain")}, Data: []byte(`"` + words + `"`)}}
}

func seal(t testing.TB, keys *Keys, words string) []*common.Payload {
	t.Helper()
	sealed, err := NewCodec(keys).Encode(said(words))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestKeysAreReadOrEveryFaultIsNamed(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		ids        string   // when it is right
		faults     []string // else
	}{
		{name: "none", text: " \n# nothing yet\n", ids: "none"},
		{name: "one", text: keyA, ids: "a"},
		{name: "commas", text: keyB + ", " + keyA + "\n", ids: "b, a"},
		{name: "lines", text: "# new\r\n" + keyA + "\r\n\r\n" + keyB, ids: "a, b"},
		{name: "capitals in the key", text: strings.ToUpper(keyA[2:]) + ":a", faults: []string{"key 1: its ID must be"}},
		{name: "all at once", text: "deadbeef\n" + "x:12\n" + keyA + "\n" + keyA, faults: []string{
			"key 1: it is not written ID:KEY", "key 2: x must be 64 hexadecimal digits", "key 4: a is there twice"}},
		{name: "too many", text: strings.Join(many(17), "\n"), faults: []string{"17 keys are more than 16"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k, err := ParseKeys(tc.text)
			if len(tc.faults) == 0 {
				if err != nil || k.String() != tc.ids {
					t.Errorf("got %v, %v; want %s", k, err, tc.ids)
				}
				return
			}
			if err == nil {
				t.Fatalf("no fault was found; got %v", k)
			}
			for _, want := range tc.faults {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not said; got %v", want, err)
				}
			}
			for _, secret := range []string{keyA[2:], "deadbeef", ":12"} {
				if strings.Contains(strings.ToLower(err.Error()), secret) {
					t.Errorf("the error shows the key %s: %v", secret, err)
				}
			}
		})
	}
	if shown := fmt.Sprintf("%v %+v %#v", parse(t, keyA), parse(t, keyA), parse(t, keyA)); strings.Contains(shown, "1f") || strings.Contains(shown, "31") {
		t.Errorf("printing keys shows them: %s", shown)
	}
}

func many(n int) []string {
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("k%d:%064x", i, i))
	}
	return keys
}

func TestSealedPayloadsHideWhatWasSaid(t *testing.T) {
	const words = "my number is 555 1234"
	keys := parse(t, keyA)
	first, second := seal(t, keys, words)[0], seal(t, keys, words)[0]
	raw, err := proto.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("555")) || bytes.Contains(raw, []byte("json/plain")) {
		t.Errorf("what was said can be read: %q", raw)
	}
	if bytes.Equal(first.Data, second.Data) {
		t.Error("the same words are sealed to the same bytes")
	}
	opened, err := NewCodec(keys).Decode([]*common.Payload{first, said("plain")[0]})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{words, "plain"} {
		if !proto.Equal(opened[i], said(want)[0]) {
			t.Errorf("payload %d: got %v, want %s", i, opened[i], want)
		}
	}
}

// What was sealed once must open as long as its key is there, whatever becomes of
// this code: Temporal keeps histories for as long as a namespace's retention says.
func TestPayloadsSealedByEarlierVersionsOpen(t *testing.T) {
	const golden = "testdata/sealed.json"
	if *update {
		b, err := protojson.MarshalOptions{Multiline: true}.Marshal(seal(t, parse(t, keyA), "where are the hammers")[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var p common.Payload
	if err := protojson.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	opened, err := NewCodec(parse(t, keyA)).Decode([]*common.Payload{&p})
	if err != nil || !proto.Equal(opened[0], said("where are the hammers")[0]) {
		t.Errorf("got %v, %v", opened, err)
	}
}

func TestKeysRotate(t *testing.T) {
	old := seal(t, parse(t, keyA), "old")
	// The new key is given to everyone behind the old one, then put before it.
	spread, moved := parse(t, keyA+","+keyB), parse(t, keyB+","+keyA)
	for _, sealed := range [][]*common.Payload{old, seal(t, spread, "spread"), seal(t, moved, "moved")} {
		for _, keys := range []*Keys{spread, moved} {
			if _, err := NewCodec(keys).Decode(sealed); err != nil {
				t.Errorf("with %s: %v", keys, err)
			}
		}
	}
	if id := string(seal(t, moved, "moved")[0].Metadata[keyIDField]); id != "b" {
		t.Errorf("sealed with %s, not with the first key", id)
	}
}

func TestWhatCannotBeOpenedSaysWhy(t *testing.T) {
	sealed := seal(t, parse(t, keyA), "words")[0]
	change := func(f func(*common.Payload)) *common.Payload {
		p := proto.Clone(sealed).(*common.Payload)
		f(p)
		return p
	}
	for _, tc := range []struct {
		name string
		keys *Keys
		p    *common.Payload
		want string
	}{
		{"no keys", nil, sealed, `needs the key "a", and payload_keys has none`},
		{"another key", parse(t, keyB), sealed, `needs the key "a", and payload_keys has b`},
		{"another key of its name", parse(t, "a"+keyB[1:]), sealed, "another key of the name"},
		{"changed", parse(t, keyA), change(func(p *common.Payload) { p.Data[40] ^= 1 }), "it was changed"},
		{"its salt changed", parse(t, keyA), change(func(p *common.Payload) { p.Data[0] ^= 1 }), "it was changed"},
		{"cut short", parse(t, keyA), change(func(p *common.Payload) { p.Data = p.Data[:31] }), "cut short"},
		{"only salt", parse(t, keyA), change(func(p *common.Payload) { p.Data = p.Data[:32] }), "it was changed"},
	} {
		_, err := NewCodec(tc.keys).Decode([]*common.Payload{tc.p})
		if !errors.Is(err, ErrUnopened) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

func FuzzOpening(f *testing.F) {
	keys := parse(f, keyA)
	f.Add("a", seal(f, keys, "words")[0].Data)
	f.Add("b", []byte{})
	f.Fuzz(func(t *testing.T, id string, data []byte) {
		p := &common.Payload{Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encoding), keyIDField: []byte(id)}, Data: data}
		if _, err := NewCodec(keys).Decode([]*common.Payload{p}); err != nil && !errors.Is(err, ErrUnopened) {
			t.Errorf("another error than ErrUnopened: %v", err)
		}
	})
}

// One kilobyte is about the size of a Generate's input.
func BenchmarkSealAndOpen(b *testing.B) {
	codec := NewCodec(parse(b, keyA))
	plain := said(strings.Repeat("x", 1024))
	b.ReportAllocs()
	for b.Loop() {
		sealed, err := codec.Encode(plain)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := codec.Decode(sealed); err != nil {
			b.Fatal(err)
		}
	}
}
