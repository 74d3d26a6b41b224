// Command ask_tell searches the receptive field of a simulated neuron: the server proposes points,
// and this program measures them.
//
//	ask_tell [SERVER [STUDY]]
//
// Ctrl-C ends it; started again it continues the study.
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"

	bam "blackbox-am/clients/go"
	pb "blackbox-am/clients/go/blackboxamv1"
)

const dimension = 16

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, argument(1, "localhost:50051"), argument(2, "go-neuron"))
	if errors.Is(err, context.Canceled) {
		fmt.Println("stopped; start it again to continue")
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "ask_tell:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server, name string) error {
	client, err := bam.Connect(ctx, server, bam.WithClientID("go-example"), token())
	if err != nil {
		return err
	}
	defer client.Close()
	study, err := client.Create(ctx, bam.Spec{
		StudyID: name, Targets: []string{"neuron:0"}, QueriesPerTarget: 2000,
		Space: &pb.Space{Kind: pb.SpaceKind_SPACE_KIND_NORMAL, Dimension: dimension},
	})
	if err != nil {
		return err
	}
	result, err := study.AskTell(ctx, bam.ScoreModel(measure), bam.AskOptions{})
	fmt.Printf("measured %d candidates\n", result.Measured)
	if err != nil {
		return err
	}
	found, err := study.Best(ctx, bam.BestOptions{})
	for _, best := range found {
		fmt.Printf("%s: %.4f in generation %d\n", best.GetTitle(), best.GetScore(), best.GetGeneration())
	}
	return err
}

// measure is the response of a neuron that prefers one point.
func measure(_ context.Context, candidates *bam.Candidates) ([]float64, error) {
	scores := make([]float64, candidates.Latents.Rows())
	for i := range scores {
		distance := 0.0
		for j, x := range candidates.Latents.Row(i).Float64s() {
			distance += math.Pow(x-math.Sin(float64(j)), 2)
		}
		scores[i] = math.Exp(-distance / dimension)
	}
	return scores, nil
}

// token is that of the environment variable BLACKBOX_AM_TOKEN.
func token() bam.Option { return bam.WithToken(os.Getenv("BLACKBOX_AM_TOKEN")) }

func argument(i int, otherwise string) string {
	if len(os.Args) > i {
		return os.Args[i]
	}
	return otherwise
}
