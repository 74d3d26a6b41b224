// Command watch prints the events of a study until it ends, also over restarts of the server.
//
//	watch [SERVER [STUDY [AFTER_SEQUENCE]]]
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"

	bam "blackbox-am/clients/go"
	pb "blackbox-am/clients/go/blackboxamv1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	last, err := run(ctx, argument(1, "localhost:50051"), argument(2, "go-neuron"), argument(3, "0"))
	if errors.Is(err, context.Canceled) {
		fmt.Printf("stopped; continue after event %d\n", last)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1)
	}
}

// run returns the number of the last event.
func run(ctx context.Context, server, name, after string) (int64, error) {
	last, err := strconv.ParseInt(after, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("expected the number of an event, got %q", after)
	}
	client, err := bam.Connect(ctx, server, bam.WithToken(os.Getenv("BLACKBOX_AM_TOKEN")))
	if err != nil {
		return last, err
	}
	defer client.Close()
	study, err := client.Study(ctx, name)
	if err != nil {
		return last, err
	}
	watch := study.Watch(ctx, bam.WatchOptions{AfterSequence: last})
	defer watch.Close()
	for watch.Next() {
		last = watch.Event().GetSequence()
		fmt.Printf("%6d  %s\n", last, inWords(watch.Event()))
	}
	return last, watch.Err()
}

func inWords(event *pb.StudyEvent) string {
	switch kind := event.GetEvent().(type) {
	case *pb.StudyEvent_GenerationClosed:
		return fmt.Sprintf("generation %d: best so far %.4f",
			kind.GenerationClosed.GetGeneration(), kind.GenerationClosed.GetBestSoFar())
	case *pb.StudyEvent_StateChanged:
		return fmt.Sprintf("%s %s", kind.StateChanged.GetState(), kind.StateChanged.GetMessage())
	case nil:
		return "an event of a later server"
	}
	return fmt.Sprintf("%T", event.GetEvent())[len("*blackboxamv1.StudyEvent_"):]
}

func argument(i int, otherwise string) string {
	if len(os.Args) > i {
		return os.Args[i]
	}
	return otherwise
}
