package main

import "github.com/spf13/cobra"

func flowGraphCommand() *cobra.Command { return &cobra.Command{Use: "graph"} }
