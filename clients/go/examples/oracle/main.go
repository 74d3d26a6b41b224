// Command oracle serves a model that a server of blackbox_am can search: three units, each of which
// prefers one colour. The configuration of the server names it:
//
//	[oracles.colours]
//	kind = "remote"
//	target = "localhost:50061"
//
// Usage: oracle [ADDRESS]
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	bam "blackbox-am/clients/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	address := "localhost:50061"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	server, err := bam.ServeOracle(address, bam.Oracle{
		Name: "colours", Kind: "example", StimulusShape: []int{3, 8, 8},
		Layers:    []bam.OracleLayer{{Name: "scores", Units: 3, Labels: []string{"red", "green", "blue"}}},
		BatchSize: 64, Fingerprint: "colours-1",
		Observe: observe,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
	fmt.Println("serving at", server.Address)
	if err := server.Wait(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
	fmt.Println("stopped")
}

// observe: unit j is the mean of channel j less the mean of the others.
func observe(_ context.Context, stimuli bam.Stimuli, units []bam.OracleUnit) ([][]float32, error) {
	rows := make([][]float32, stimuli.Rows)
	for i := range rows {
		values := stimuli.Row(i)
		size := len(values) / 3
		rows[i] = make([]float32, len(units))
		for k, unit := range units {
			sum := 0.0
			for n, value := range values {
				weight := -0.5
				if n/size == unit.Index {
					weight = 1
				}
				sum += weight * float64(value)
			}
			rows[i][k] = float32(sum / float64(size))
		}
	}
	return rows, nil
}
