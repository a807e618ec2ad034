// Package payload keeps what customers say unreadable to whoever holds Temporal's
// database: every payload on its way to Temporal is sealed with AES-256-GCM, and
// opened on its way back.
package payload

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Keys open what was sealed with any of them. The first one seals; the others
// are there for what was sealed before it became the first, or for what others
// will seal once they have it.
type Keys struct {
	seals string // id of the first
	byID  map[string][]byte
	ids   []string
}

const (
	keySize = 32 // of AES-256, in bytes
	maxKeys = 16 // in one setting; more than that is a mistake
)

var keyID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)

// ParseKeys reads the setting payload_keys: "ID:64 hexadecimal digits", one a line
// or separated by commas. A line that begins with # is a comment. An empty text
// gives nil: nothing is sealed. The error names every fault, and never a key.
func ParseKeys(text string) (*Keys, error) {
	k := &Keys{byID: map[string][]byte{}}
	var faults []error
	n := 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for entry := range strings.SplitSeq(line, ",") {
			if entry = strings.TrimSpace(entry); entry == "" {
				continue
			}
			n++
			if err := k.add(entry); err != nil {
				faults = append(faults, fmt.Errorf("payload_keys: key %d: %w", n, err))
			}
		}
	}
	if n > maxKeys {
		faults = append(faults, fmt.Errorf("payload_keys: %d keys are more than %d; remove those whose histories Temporal no longer keeps", n, maxKeys))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if n == 0 {
		return nil, nil
	}
	return k, nil
}

func (k *Keys) add(entry string) error {
	id, digits, ok := strings.Cut(entry, ":")
	if !ok {
		return errors.New("it is not written ID:KEY; write for example 2026-11:$(openssl rand -hex 32)")
	}
	if !keyID.MatchString(id) {
		return errors.New("its ID must be 1 to 32 of a-z, 0-9, '.', '_' and '-'; write for example 2026-11:$(openssl rand -hex 32)")
	}
	key, err := hex.DecodeString(digits)
	if err != nil || len(key) != keySize {
		return fmt.Errorf("%s must be %d hexadecimal digits; make one with `openssl rand -hex %d`", id, 2*keySize, keySize)
	}
	if k.byID[id] != nil {
		return fmt.Errorf("%s is there twice; give each key an ID of its own", id)
	}
	if len(k.ids) == 0 {
		k.seals = id
	}
	k.byID[id] = key
	k.ids = append(k.ids, id)
	return nil
}

// String names the keys, for messages; it never shows them.
func (k *Keys) String() string {
	if k == nil {
		return "none"
	}
	return strings.Join(k.ids, ", ")
}

// GoString keeps the keys out of %#v.
func (k *Keys) GoString() string { return "payload.Keys{" + k.String() + "}" }

// saltSize makes it out of the question that two payloads draw the same salt.
const saltSize = 32

// once gives the cipher and the nonce for one payload. Both are derived from the
// key and the payload's own salt, so that the bound of random nonces (2³² payloads
// for one key, which a chain's stores reach within weeks) does not apply and a key
// need not be replaced for its use.
func (k *Keys) once(id string, salt []byte) (cipher.AEAD, []byte, error) {
	key := k.byID[id]
	if key == nil {
		return nil, nil, fmt.Errorf("there is no key %s", id)
	}
	const nonceSize = 12 // GCM's own
	derived, err := hkdf.Key(sha256.New, key, salt, Encoding+" "+id, keySize+nonceSize)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(derived[:keySize])
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, derived[keySize:], err
}
