package helm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestMain takes away what the tests built.
func TestMain(m *testing.M) {
	code := m.Run()
	if binary.dir != "" {
		os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

var binary struct {
	once sync.Once
	dir  string
	err  error
}

// parley gives the path of the binary, built once for all tests as the image
// builds it.
func parley(t *testing.T) string {
	t.Helper()
	binary.once.Do(func() {
		if binary.dir, binary.err = os.MkdirTemp("", "parley-helm-"); binary.err != nil {
			return
		}
		build := exec.Command("go", "build", "-o", binary.dir, "./cmd/parley")
		build.Dir = filepath.Join("..", "..")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
		build.Stderr = os.Stderr
		binary.err = build.Run()
	})
	if binary.err != nil {
		t.Fatalf("build cmd/parley: %v", binary.err)
	}
	return filepath.Join(binary.dir, "parley")
}
