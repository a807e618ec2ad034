package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/praesenz/parley/config"
)

// handoffCommand is the staff's side of `handoff` in a terminal, over the
// gateway's API.
func handoffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "handoff",
		Short: "See who calls for staff, and answer",
	}
	cmd.AddCommand(handoffListCommand(), handoffAnswerCommand("accept", "Say that somebody comes"), handoffAnswerCommand("decline", "Say that nobody can come"))
	return cmd
}

// A staffDesk is a gateway's API for staff.
type staffDesk struct{ gateway, token string }

// open finds the gateway and the token: staff_token, or else the one that `parley
// dev` has made.
func (d *staffDesk) open(cmd *cobra.Command) error {
	c, err := settings(cmd, config.Handoff)
	if err != nil {
		return err
	}
	d.gateway, d.token = c.Gateway, string(c.StaffToken)
	if d.token != "" {
		return nil
	}
	path := filepath.Join(c.Data, staffKey)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("no staff token: name its file with --staff-token-file, or set PARLEY_STAFF_TOKEN")
	}
	if err != nil {
		return err
	}
	key, err := parseSecret(path, strings.TrimSpace(string(b)))
	if err != nil {
		return err
	}
	d.token = devToken(key)
	return nil
}

// ask makes one request; in is its body, out takes the answer.
func (d *staffDesk) ask(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("no answer within 10 s"))
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(d.gateway, "/")+path, body)
	if err != nil {
		return fmt.Errorf("--gateway %s: write it like http://127.0.0.1:8080: %w", d.gateway, err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		var refused struct{ Error string }
		if json.Unmarshal(b, &refused) != nil || refused.Error == "" {
			refused.Error = res.Status
		}
		return fmt.Errorf("gateway: %s", refused.Error)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("gateway: its answer is not what is meant: %w", err)
	}
	return nil
}

func handoffListCommand() *cobra.Command {
	var (
		desk         staffDesk
		team, format string
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the calls for staff that nobody has answered",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := desk.open(cmd); err != nil {
				return err
			}
			if format != "text" && format != "json" {
				return fmt.Errorf("--format: %q is none of text, json", format)
			}
			var raw json.RawMessage
			if err := desk.ask(cmd.Context(), http.MethodGet, "/v1/staff/handoffs?team="+url.QueryEscape(team), nil, &raw); err != nil {
				return err
			}
			if format == "json" {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw)
				return err
			}
			return printHandoffs(cmd.OutOrStdout(), raw, time.Now())
		},
	}
	config.Bind(config.Handoff, cmd.Flags())
	cmd.Flags().StringVar(&team, "team", "", "only this team's")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// printHandoffs writes a list of calls for people.
func printHandoffs(out io.Writer, raw json.RawMessage, now time.Time) error {
	var list struct {
		Handoffs []struct {
			ID, Kiosk, Team, Language, Summary string
			Since, Until                       time.Time
		}
		More   bool
		Unread []string
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("gateway: its answer is not what is meant: %w", err)
	}
	if len(list.Handoffs) == 0 {
		fmt.Fprintln(out, "Nobody is calling.")
	} else {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KIOSK\tID\tTEAM\tLANGUAGE\tWAITS\tLEFT\tSUMMARY")
		for _, h := range list.Handoffs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Kiosk, h.ID, h.Team, h.Language,
				now.Sub(h.Since).Round(time.Second), max(0, h.Until.Sub(now)).Round(time.Second), strings.Join(strings.Fields(h.Summary), " "))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if list.More {
		fmt.Fprintln(out, "There are more.")
	}
	if len(list.Unread) > 0 {
		fmt.Fprintf(out, "Cannot be asked now: %s\n", strings.Join(list.Unread, ", "))
	}
	return nil
}

func handoffAnswerCommand(answer, short string) *cobra.Command {
	var (
		desk staffDesk
		by   string
	)
	cmd := &cobra.Command{
		Use:   answer + " KIOSK ID",
		Short: short,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := desk.open(cmd); err != nil {
				return err
			}
			if by == "" {
				return errors.New("--by: write who answers")
			}
			var done struct{ Answer, By string }
			path := "/v1/staff/handoffs/" + url.PathEscape(args[0]) + "/" + url.PathEscape(args[1])
			if err := desk.ask(cmd.Context(), http.MethodPost, path, map[string]string{"answer": answer, "by": by}, &done); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s at %s: %s, by %s\n", args[1], args[0], done.Answer, done.By)
			return nil
		},
	}
	config.Bind(config.Handoff, cmd.Flags())
	cmd.Flags().StringVar(&by, "by", os.Getenv("USER"), "who answers")
	return cmd
}
