package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/worker"
)

func temporalPromoteCommand() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "promote",
		Short: "Have new conversations begin on a build of the workers",
		Long: `Have new conversations begin on the build build_id of the worker deployment
deployment, as soon as a worker of that build polls. Those under way stay on the
build that they began on. It can run at every deploy, and going back to an earlier
build is the same. It exits 0 when the build is the current one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, logger, err := begin(cmd, config.TemporalPromote)
			if err != nil {
				return err
			}
			if err := worker.ValidateVersion(c.Deployment, c.BuildID); err != nil {
				return err
			}
			ctx, cancel, err := waiting(cmd.Context(), wait)
			if err != nil {
				return err
			}
			defer cancel()
			temporal, err := awaitTemporal(ctx, c, logger)
			if err != nil {
				return err
			}
			defer temporal.Close()
			return promote(ctx, temporal, c.Deployment, c.BuildID, cmd.OutOrStdout())
		},
	}
	bindWait(cmd.Flags(), &wait, 5*time.Minute)
	config.Bind(config.TemporalPromote, cmd.Flags())
	return cmd
}

// promote makes a build the current one of its deployment once it polls.
func promote(ctx context.Context, temporal client.Client, deployment, build string, out io.Writer) error {
	handle := temporal.WorkerDeploymentClient().GetHandle(deployment)
	_, err := patiently(ctx, func() (any, error) {
		return nil, polls(ctx, temporal, handle, build)
	})
	if err != nil {
		return fmt.Errorf("build %s of %s: %w", build, deployment, err)
	}
	is, err := handle.Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err != nil {
		return fmt.Errorf("see the builds of %s: %w", deployment, err)
	}
	was := "conversations had no build before"
	if current := is.Info.RoutingConfig.CurrentVersion; current != nil {
		if current.BuildID == build {
			fmt.Fprintf(out, "%s: build %s was the current one already\n", deployment, build)
			return nil
		}
		was = "it was " + current.BuildID
	}
	if manager := is.Info.ManagerIdentity; manager != "" {
		return fmt.Errorf("%s is managed by %s, Temporal's Worker Controller perhaps, which chooses the build: do not promote by hand, or unset the manager with `temporal worker deployment manager-identity unset --deployment-name %s`",
			deployment, manager, deployment)
	}
	// Temporal refuses while a queue that has work is not polled by this build yet.
	_, err = patiently(ctx, func() (any, error) {
		return handle.SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: build})
	})
	if err != nil {
		return fmt.Errorf("make build %s of %s the current one: %w", build, deployment, err)
	}
	fmt.Fprintf(out, "%s: build %s is the current one; %s\n", deployment, build, was)
	return nil
}

// polls fails while no worker of a build polls for conversations. Temporal itself
// asks only whether one ever has, which after a rollback is too little.
func polls(ctx context.Context, temporal client.Client, deployment client.WorkerDeploymentHandle, build string) error {
	version, err := deployment.DescribeVersion(ctx, client.WorkerDeploymentDescribeVersionOptions{BuildID: build})
	var unknown *serviceerror.NotFound
	if errors.As(err, &unknown) {
		return errNotPolled
	}
	if err != nil {
		return err
	}
	for _, queue := range version.Info.TaskQueuesInfos {
		if queue.Type != client.TaskQueueTypeWorkflow {
			continue
		}
		is, err := temporal.DescribeTaskQueue(ctx, queue.Name, enums.TASK_QUEUE_TYPE_WORKFLOW)
		if err != nil {
			return err
		}
		for _, p := range is.GetPollers() {
			v := p.GetDeploymentOptions()
			if v.GetDeploymentName() == version.Info.Version.DeploymentName && v.GetBuildId() == build && !worker.Leaving(p.GetIdentity()) {
				return nil
			}
		}
	}
	return errNotPolled
}

var errNotPolled = errors.New("no worker of this build polls; see whether its pods run, and whether their deployment, build_id and namespace are these")

// bindWait binds the flag that bounds a command's patience.
func bindWait(f *pflag.FlagSet, wait *time.Duration, limit time.Duration) {
	f.DurationVar(wait, "wait", limit, "how long to wait for Temporal, and for what has to be there")
}

// waiting bounds a context by --wait.
func waiting(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc, error) {
	if wait < time.Second || wait > time.Hour {
		return nil, nil, fmt.Errorf("--wait %s: write 1s to 1h", wait)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("waited for %s", wait))
	return ctx, cancel, nil
}

// awaitTemporal connects to a Temporal server, which may still be starting; whether
// the namespace is there does not matter.
func awaitTemporal(ctx context.Context, c *config.Config, logger *slog.Logger) (client.Client, error) {
	options, err := temporalOptions(c, nil, logger)
	if err != nil {
		return nil, err
	}
	temporal, err := patiently(ctx, func() (client.Client, error) { return client.DialContext(ctx, options) })
	if err != nil {
		return nil, fmt.Errorf("temporal at %s: %w", c.Temporal, err)
	}
	return temporal, nil
}

// patiently tries until something works, ctx ends, or another try would change
// nothing. A search attribute is an invalid argument until Temporal has spread it.
func patiently[T any](ctx context.Context, try func() (T, error)) (T, error) {
	var last error
	for {
		got, err := try()
		if err == nil {
			return got, nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // not that the time is over, but why it was not enough
		}
		var invalid *serviceerror.InvalidArgument
		if lacksRight(err) || errors.As(err, &invalid) && !strings.Contains(err.Error(), "search attribute") {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-time.After(time.Second):
		}
	}
}
