package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sam/agent/boot"
	"sam/config"
)

func newBoot() *cobra.Command {
	var fetched int64
	cmd := &cobra.Command{
		Use:   "boot FILE",
		Short: "Make a machine that SAM created a node: firewall, swap, disk, Docker; started by cloud-init",
		Long: "Make a machine that SAM created a node. cloud-init starts it with what the server wrote for the machine; it closes the\n" +
			"host's firewall, makes swap and a disk with quotas, and starts `sam node`. It may be run again.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			order, err := readOrder(args[0])
			if err != nil {
				return err
			}
			began := time.Now()
			if fetched > 0 {
				began = time.UnixMilli(fetched)
			}
			machine, err := boot.Here()
			if err != nil {
				return err
			}
			log := zerolog.Ctx(newLog(config.Log{Level: "info", Format: "json"}, cmd.ErrOrStderr()).WithContext(cmd.Context()))
			report, err := machine.Boot(cmd.Context(), order, began)
			for _, step := range report.Steps {
				if step.Error != "" {
					log.Warn().Str("step", step.Name).Int64("ms", step.MS).Msg("left out: " + step.Error)
					continue
				}
				log.Info().Str("step", step.Name).Int64("ms", step.MS).Msg(step.Note)
			}
			return err
		},
	}
	cmd.Flags().Int64Var(&fetched, "fetched", 0, "when the fetching of this program began, in Unix `MILLISECONDS`: the report counts from there")
	return cmd
}

// readOrder reads what the server has written for this machine.
func readOrder(path string) (order boot.Order, err error) {
	file, err := os.Open(path)
	if err != nil {
		return order, fmt.Errorf("read what the server has written for this machine: %w", err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&order); err != nil {
		return order, fmt.Errorf("read what the server has written for this machine in %s: %w", path, err)
	}
	if order.Node == "" || order.Gateway == "" {
		return order, errors.New(path + " names no node or no gateway: it is not what a server writes")
	}
	return order, nil
}
