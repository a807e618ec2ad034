// Command parley is the whole product: the development system on one machine,
// each of its parts by itself, and the tools for those who write flows and
// knowledge.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// The first signal drains, the second ends at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := rootCommand().ExecuteContext(ctx)
	if err == nil {
		return
	}
	var quiet quietError
	if !errors.As(err, &quiet) {
		fmt.Fprintln(os.Stderr, "parley:", err)
	}
	os.Exit(1)
}

// quietError fails a command that has already said why.
type quietError struct{ error }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "parley",
		Short:         "Durable voice conversations for in-store kiosks",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(devCommand(), gatewayCommand(), workerCommand(), speechCommand(), tokenCommand(), flowCommand(), kbCommand(), handoffCommand(), temporalCommand(), codecCommand(), configCommand(), healthCommand(), storeCommand())
	root.SetFlagErrorFunc(unknownFlag)
	return root
}

// release is the version that an image is built as, by -ldflags "-X main.release=…":
// its build has no repository to read one from.
var release string

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
