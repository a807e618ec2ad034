package action

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxSecret bounds a secret, in bytes: it is one header's value.
const maxSecret = 16 << 10

// secrets are values that only a deployment knows, by name. A name is lower-case
// letters, digits and _; the catalogue's reader sees to it, so it stays in dir.
type secrets struct{ dir string }

// check finds out early that the folder is not there at all.
func (s secrets) check() error {
	if s.dir == "" {
		return nil
	}
	info, err := os.Stat(s.dir)
	if err != nil {
		return fmt.Errorf("--secrets: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("--secrets: %s is not a folder; name the one that holds a file for each secret", s.dir)
	}
	return nil
}

// read gives a secret as it is now.
func (s secrets) read(name string) (string, error) {
	variable := "PARLEY_SECRET_" + strings.ToUpper(name)
	value, from := os.Getenv(variable), variable
	if s.dir != "" {
		path := filepath.Join(s.dir, name)
		switch b, err := readAtMost(path, maxSecret); {
		case err == nil:
			value, from = strings.TrimRight(string(b), "\r\n"), path
		case !errors.Is(err, os.ErrNotExist):
			return "", fmt.Errorf("secret %q: %w", name, err)
		}
	}
	if value == "" {
		where := "into the environment as " + variable
		if s.dir != "" {
			where = "into " + filepath.Join(s.dir, name) + ", or " + where
		} else {
			where += ", or into a file of that name in the folder --secrets"
		}
		return "", fmt.Errorf("secret %q is missing; put it %s", name, where)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", fmt.Errorf("secret %q: %s must be one line of printable ASCII", name, from)
	}
	return value, nil
}

func readAtMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return b, err
}
