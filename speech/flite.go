package speech

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// run runs an engine's program on text, which it reads from standard input, so
// that what is said shows in no list of processes. The program is killed when
// ctx ends.
func run(ctx context.Context, text, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(text)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("%s is not on the PATH; install Debian package %s", program, program)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// sayWithFlite has flite write the audio to a file (it cannot append a second
// sentence to a pipe) and print when each phone ends.
func sayWithFlite(ctx context.Context, name, text string, speed float64) (spoken, error) {
	dir, err := os.MkdirTemp("", "parley-flite-")
	if err != nil {
		return spoken{}, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "out.wav")
	out, err := run(ctx, text, "flite", "-voice", name, "-psdur",
		"--setf", "duration_stretch="+strconv.FormatFloat(1/speed, 'f', 3, 64),
		"-f", "/dev/stdin", "-o", path)
	if err != nil {
		return spoken{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return spoken{}, fmt.Errorf("flite wrote no audio: %w", err)
	}
	defer f.Close()
	samples, rate, err := readAllWAV(f)
	if err != nil {
		return spoken{}, fmt.Errorf("read flite's audio: %w", err)
	}
	phonemes, err := parsePhoneEnds(string(out))
	if err != nil {
		return spoken{}, err
	}
	return spoken{samples: samples, rate: rate, phonemes: clip(phonemes, durationMS(len(samples), rate))}, nil
}

// parsePhoneEnds reads what flite -psdur prints: "pau:0.220 w:0.273 …", each
// phone with the second it ends, a line per sentence, each counted from its own
// beginning.
func parsePhoneEnds(out string) ([]phoneme, error) {
	var phonemes []phoneme
	begin := 0
	for line := range strings.Lines(out) {
		last := begin
		for field := range strings.FieldsSeq(line) {
			symbol, at, ok := strings.Cut(field, ":")
			seconds, err := strconv.ParseFloat(at, 64)
			if !ok || err != nil {
				return nil, fmt.Errorf("flite printed %q where a phone and its end were expected", field)
			}
			end := max(last, begin+int(seconds*1000+0.5))
			phonemes = append(phonemes, phoneme{Symbol: symbol, StartMS: last, EndMS: end})
			last = end
		}
		begin = last
	}
	return phonemes, nil
}

// clip ends the phonemes with the audio: engines round.
func clip(phonemes []phoneme, lengthMS int) []phoneme {
	for i := range phonemes {
		phonemes[i].StartMS = min(phonemes[i].StartMS, lengthMS)
		phonemes[i].EndMS = min(phonemes[i].EndMS, lengthMS)
	}
	if n := len(phonemes); n > 0 {
		phonemes[n-1].EndMS = lengthMS
	}
	return phonemes
}

func durationMS(samples, rate int) int { return samples * 1000 / rate }

// fliteToCMU are flite's phones that CMU's dictionary writes otherwise.
var fliteToCMU = map[string]string{
	"ax": "AH", "ix": "IH", "axr": "ER", "el": "AH L", "em": "AH M", "en": "AH N", "dx": "T", "nx": "N", "ux": "UW", "hv": "HH",
}

// pronounceWithFlite guesses a word's phones by flite's letter-to-sound rules.
func pronounceWithFlite(ctx context.Context, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := run(ctx, word, "flite", "-voice", "kal16", "-ps", "-f", "/dev/stdin", "-o", "none")
	if err != nil {
		return "", err
	}
	var phones []string
	for p := range strings.FieldsSeq(string(out)) {
		if p == "pau" {
			continue
		}
		if cmu, ok := fliteToCMU[p]; ok {
			p = cmu
		}
		phones = append(phones, strings.ToUpper(p))
	}
	if len(phones) == 0 {
		return "", fmt.Errorf("flite cannot pronounce %q", word)
	}
	return strings.Join(phones, " "), nil
}
