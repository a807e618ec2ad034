//go:build race

package flow

// raceDetector says that tests run many times slower than the code does.
const raceDetector = true
