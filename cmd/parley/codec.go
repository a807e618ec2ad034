package main

import (
	"github.com/spf13/cobra"

	"github.com/praesenz/parley/config"
	"github.com/praesenz/parley/payload"
)

// codecCommand opens sealed payloads for the Temporal UI.
func codecCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "codec",
		Short: "Open sealed payloads for the Temporal UI and the temporal command",
		Long: `Open sealed payloads for the Temporal UI and the temporal command, as their remote
codec: POST /decode. Whoever reaches it reads what customers said, so it listens on
loopback unless codec_token is set, or codec_trust_proxy where an authenticating
proxy is in front of it. ` + settingsHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, logger, err := begin(cmd, config.Codec)
			if err != nil {
				return err
			}
			keys, err := payload.ParseKeys(string(c.PayloadKeys))
			if err != nil {
				return err
			}
			s, err := payload.NewServer(payload.ServerConfig{
				Addr: c.Listen, Keys: keys, Origins: c.Origins, Token: string(c.CodecToken), TrustProxy: c.CodecTrustProxy, Logger: logger,
			})
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if err := s.Start(ctx); err != nil {
				return err
			}
			defer stopWithin(s.Stop, logger)
			logger.Info("codec server listening", "addr", s.Addr(), "keys", keys.String())
			select {
			case <-ctx.Done():
				return nil
			case err := <-s.Dead():
				return err
			}
		},
	}
	config.Bind(config.Codec, cmd.Flags())
	return cmd
}
