package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long `parley health` waits: less than the 5 s that
// compose.yaml gives it.
const healthTimeout = 3 * time.Second

// healthCommand asks a part whether it is well, for container engines that can
// only run a command to find out: the image has no curl.
func healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health URL",
		Short: "Ask a running part whether it is well: exit 0 when it is",
		Long: `Ask a running part whether it is well, and print what it says. Exits 0 when it answers
with 200 and 1 otherwise. A container's health check where the engine runs a command
for it; Kubernetes asks /health and /ready by itself.`,
		Example: "  parley health http://127.0.0.1:8080/ready",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), healthTimeout, errors.New("no answer within "+healthTimeout.String()))
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
			if err != nil || request.URL.Host == "" {
				return fmt.Errorf("%q is no address; write for example http://127.0.0.1:8080/ready", args[0])
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if _, err := io.Copy(cmd.OutOrStdout(), io.LimitReader(response.Body, 4<<10)); err != nil {
				return fmt.Errorf("read %s: %w", args[0], err)
			}
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answers %s", args[0], response.Status)
			}
			return nil
		},
	}
}
