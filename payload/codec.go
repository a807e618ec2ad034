package payload

import (
	"crypto/rand"
	"errors"
	"fmt"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

// Encoding marks a sealed payload. Its data are 32 bytes of salt and then the
// payload that it was, as protobuf, sealed by AES-256-GCM.
const Encoding = "binary/parley-sealed-1"

// keyIDField names the key in a sealed payload's metadata, as Temporal's own
// samples do.
const keyIDField = "encryption-key-id"

// ErrUnopened is wrapped by every error about a sealed payload that cannot be
// opened here.
var ErrUnopened = errors.New("sealed payload cannot be opened")

// Codec seals and opens payloads. With nil keys it seals nothing, and refuses
// what is sealed.
type Codec struct{ keys *Keys }

var _ converter.PayloadCodec = Codec{}

// NewCodec gives the codec of some keys, which may be nil.
func NewCodec(keys *Keys) Codec { return Codec{keys} }

// Encode seals each payload with the first key.
func (c Codec) Encode(payloads []*common.Payload) ([]*common.Payload, error) {
	if c.keys == nil {
		return payloads, nil
	}
	sealed := make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("seal payload: %w", err)
		}
		data := make([]byte, saltSize, saltSize+len(plain)+16)
		rand.Read(data)
		aead, nonce, err := c.keys.once(c.keys.seals, data)
		if err != nil {
			return nil, fmt.Errorf("seal payload: %w", err)
		}
		sealed[i] = &common.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(Encoding), keyIDField: []byte(c.keys.seals)},
			Data:     aead.Seal(data, nonce, plain, nil),
		}
	}
	return sealed, nil
}

// Decode opens what is sealed and passes on what is not: histories from before
// there were keys, and what an operator signals by hand, stay readable.
func (c Codec) Decode(payloads []*common.Payload) ([]*common.Payload, error) {
	opened := make([]*common.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != Encoding {
			opened[i] = p
			continue
		}
		var err error
		if opened[i], err = c.open(p); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

func (c Codec) open(p *common.Payload) (*common.Payload, error) {
	id := string(p.GetMetadata()[keyIDField])
	if c.keys == nil || c.keys.byID[id] == nil {
		return nil, fmt.Errorf("%w: it needs the key %q, and payload_keys has %s; add the key there", ErrUnopened, id, c.keys)
	}
	if len(p.Data) < saltSize {
		return nil, fmt.Errorf("%w: it was cut short", ErrUnopened)
	}
	aead, nonce, err := c.keys.once(id, p.Data[:saltSize])
	if err != nil {
		return nil, fmt.Errorf("open payload: %w", err)
	}
	plain, err := aead.Open(nil, nonce, p.Data[saltSize:], nil)
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed, or it was sealed with another key of the name %q", ErrUnopened, id)
	}
	was := &common.Payload{}
	if err := proto.Unmarshal(plain, was); err != nil {
		return nil, fmt.Errorf("%w: what is in it is no payload: %w", ErrUnopened, err)
	}
	return was, nil
}
