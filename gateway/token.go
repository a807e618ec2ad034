package gateway

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The audience keeps one kind of token from passing for the other.
const (
	audienceKiosk  = "parley-kiosk"
	audienceResume = "parley-resume"
)

// keys make and open tokens, HS256 JSON Web Tokens: the first makes them, all open
// them.
type keys [][]byte

type kioskClaims struct {
	jwt.RegisteredClaims        // Subject is the kiosk
	Store                string `json:"store"`
}

type resumeClaims struct {
	kioskClaims
	Session string `json:"session"`
}

// NewKioskToken makes the token with which a kiosk connects, good for the given
// time. key is the first of Config.Keys.
func NewKioskToken(key []byte, store, kiosk string, good time.Duration) (string, error) {
	if store == "" || kiosk == "" || good <= 0 {
		return "", errors.New("kiosk token: store, kiosk and a time to live are needed")
	}
	return keys{key}.sign(kioskClaims{Store: store, RegisteredClaims: jwt.RegisteredClaims{
		Subject: kiosk, Audience: jwt.ClaimStrings{audienceKiosk},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(good)),
	}})
}

// openKiosk tells whose token it is.
func (k keys) openKiosk(token string) (store, kiosk string, err error) {
	if token == "" {
		return "", "", errors.New("the token is missing")
	}
	var c kioskClaims
	// A token made elsewhere need not name an audience, but a resume token does,
	// and never passes for a kiosk's: it has no end.
	if err := k.open(token, &c, jwt.WithExpirationRequired()); err != nil {
		return "", "", err
	}
	if c.Store == "" || c.Subject == "" {
		return "", "", errors.New("the token names no store or no kiosk (sub)")
	}
	return c.Store, c.Subject, nil
}

// resumeToken names a session. It has no end: it opens nothing without the
// kiosk's own token, which has one.
func (k keys) resumeToken(s *session) (string, error) {
	return k.sign(resumeClaims{Session: s.id, kioskClaims: kioskClaims{Store: s.store, RegisteredClaims: jwt.RegisteredClaims{
		Subject: s.kiosk, Audience: jwt.ClaimStrings{audienceResume}, IssuedAt: jwt.NewNumericDate(s.born),
	}}})
}

// openResume gives the session that a resume token names and when it was made.
func (k keys) openResume(token, store, kiosk string) (session string, born time.Time, err error) {
	var c resumeClaims
	if err := k.open(token, &c, jwt.WithAudience(audienceResume), jwt.WithIssuedAt()); err != nil {
		return "", time.Time{}, err
	}
	if c.Store != store || c.Subject != kiosk || c.Session == "" || c.IssuedAt == nil {
		return "", time.Time{}, errors.New("the resume token is another kiosk's")
	}
	return c.Session, c.IssuedAt.Time, nil
}

func (k keys) sign(c jwt.Claims) (string, error) {
	t, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(k[0])
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return t, nil
}

func (k keys) open(token string, into jwt.Claims, o ...jwt.ParserOption) error {
	o = append(o, jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithLeeway(5*time.Second))
	set := jwt.VerificationKeySet{}
	for _, key := range k {
		set.Keys = append(set.Keys, key)
	}
	_, err := jwt.ParseWithClaims(token, into, func(*jwt.Token) (any, error) { return set, nil }, o...)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return errors.New("the token is out of date")
	case err != nil:
		return errors.New("the token is not valid here") // why is nobody's business outside
	}
	return nil
}
