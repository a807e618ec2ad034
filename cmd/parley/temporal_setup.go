package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/workflows"
)

// temporalCommand prepares a Temporal server and its worker deployments.
func temporalCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "temporal",
		Short: "Prepare a Temporal server for Parley, and choose the build that begins conversations",
	}
	cmd.AddCommand(temporalSetupCommand(), temporalPromoteCommand())
	return cmd
}

// defaultRetention is how long a namespace that setup makes keeps conversations
// that have ended, with what customers said in them.
const defaultRetention = 72 * time.Hour

func temporalSetupCommand() *cobra.Command {
	var retention, wait time.Duration
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Make the namespace and the search attributes that conversations need",
		Long: `Make the namespace and the search attributes that conversations need, as far as
they are not there. It can run at every deploy: what is there stays as it is, but for
the retention where --retention is given. It exits 0 when everything is there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, logger, err := begin(cmd, config.TemporalSetup)
			if err != nil {
				return err
			}
			given := cmd.Flags().Changed("retention")
			if given && (retention < time.Hour || retention > 366*24*time.Hour) {
				return fmt.Errorf("--retention %s: write 1h to 8784h, such as 72h", retention)
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
			s := setup{temporal, c.Namespace, cmd.OutOrStdout()}
			if err := s.namespaceThere(ctx, retention, given); err != nil {
				return fmt.Errorf("namespace %s: %w", c.Namespace, err)
			}
			return s.attributesThere(ctx)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&retention, "retention", defaultRetention, "how long conversations that have ended are kept (a namespace that is there keeps its own unless this is given)")
	bindWait(f, &wait, time.Minute)
	config.Bind(config.TemporalSetup, f)
	return cmd
}

// A setup brings one namespace up to what conversations need.
type setup struct {
	client.Client
	namespace string
	out       io.Writer
}

func (s setup) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// namespaceThere makes the namespace, or brings its retention to what was given.
func (s setup) namespaceThere(ctx context.Context, retention time.Duration, given bool) error {
	service := s.WorkflowService()
	made, err := patiently(ctx, func() (bool, error) {
		_, err := service.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: s.namespace, Description: "Parley's conversations", WorkflowExecutionRetentionPeriod: durationpb.New(retention),
		})
		var there *serviceerror.NamespaceAlreadyExists
		if errors.As(err, &there) || lacksRight(err) {
			return false, nil // where somebody else makes namespaces, the next question tells whether it is there
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	is, err := patiently(ctx, func() (*workflowservice.DescribeNamespaceResponse, error) {
		return service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: s.namespace})
	})
	if err != nil {
		return err
	}
	keeps := is.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
	if made {
		s.say("namespace %s: made; conversations that have ended are kept for %s", s.namespace, keeps)
		return nil
	}
	if keeps == retention || !given {
		s.say("namespace %s: there; conversations that have ended are kept for %s", s.namespace, keeps)
		return nil
	}
	_, err = service.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: s.namespace, Config: &namespace.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	})
	if lacksRight(err) {
		s.say("namespace %s: there; conversations that have ended are kept for %s, which may not be changed to %s from here", s.namespace, keeps, retention)
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep conversations for %s: %w", retention, err)
	}
	s.say("namespace %s: conversations that have ended are kept for %s; it was %s", s.namespace, retention, keeps)
	return nil
}

// attributesThere adds the search attributes that are missing, and waits until
// all can be searched.
func (s setup) attributesThere(ctx context.Context) error {
	list, err := patiently(ctx, func() (*operatorservice.ListSearchAttributesResponse, error) {
		list, err := s.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: s.namespace})
		if lacksRight(err) {
			return nil, nil
		}
		return list, err
	})
	if err != nil {
		return fmt.Errorf("list search attributes: %w", err)
	}
	missing := map[string]enums.IndexedValueType{}
	var names, faults []string
	for _, a := range workflows.Attributes {
		kind, there := list.GetCustomAttributes()[a.GetName()]
		switch {
		case list == nil: // may not be listed from here
		case !there:
			missing[a.GetName()] = a.GetValueType()
			names = append(names, a.GetName())
		case kind != a.GetValueType():
			faults = append(faults, fmt.Sprintf("search attribute %s is there as %s and must be %s: remove it with `temporal operator search-attribute remove --name %s`, and run this again",
				a.GetName(), kind, a.GetValueType(), a.GetName()))
		}
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "\n"))
	}
	if len(missing) > 0 {
		_, err := s.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: s.namespace, SearchAttributes: missing})
		var there *serviceerror.AlreadyExists // another run was faster
		if err != nil && !errors.As(err, &there) && !lacksRight(err) {
			return fmt.Errorf("add search attributes %s: %w", strings.Join(names, ", "), err)
		}
	}
	var all []string
	for _, a := range workflows.Attributes {
		all = append(all, a.GetName()+" IS NULL")
	}
	_, err = patiently(ctx, func() (any, error) {
		return s.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: s.namespace, Query: strings.Join(all, " AND ")})
	})
	if err != nil {
		return fmt.Errorf("search attributes cannot be searched: %w; where this command may not add them, add %s", err, described())
	}
	if len(names) > 0 {
		s.say("search attributes: added %s", strings.Join(names, ", "))
	} else {
		s.say("search attributes: all %d are there", len(workflows.Attributes))
	}
	return nil
}

// described lists the search attributes for somebody who adds them by hand.
func described() string {
	var list []string
	for _, a := range workflows.Attributes {
		list = append(list, a.GetName()+" ("+a.GetValueType().String()+")")
	}
	return strings.Join(list, ", ")
}

// lacksRight tells whether a server does not let us do something that somebody
// else can do for us, as Temporal Cloud does.
func lacksRight(err error) bool {
	var denied *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	return errors.As(err, &denied) || errors.As(err, &unimplemented)
}
