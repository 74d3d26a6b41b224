package blackboxam

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	pb "blackbox-am/clients/go/blackboxamv1"
)

var background = context.Background()

func sphereModel(_ context.Context, candidates *Candidates) ([]float64, error) {
	scores := make([]float64, candidates.Latents.Rows())
	for i := range scores {
		for _, x := range candidates.Latents.Row(i).Float64s() {
			scores[i] -= x * x
		}
	}
	return scores, nil
}

func tinySpec(id string, queries int32) Spec {
	seed := int64(7)
	return Spec{
		StudyID: id, Targets: []string{"neuron:0"}, QueriesPerTarget: queries, Seed: &seed,
		Space: &pb.Space{Kind: pb.SpaceKind_SPACE_KIND_NORMAL, Dimension: 4},
	}
}

func expectKind(t *testing.T, err error, kind *Kind) *Error {
	t.Helper()
	var known *Error
	if !errors.As(err, &known) || known.Kind != kind {
		t.Fatalf("expected an error of the kind %s, got %v", kind, err)
	}
	return known
}

func TestStudies(t *testing.T) {
	server := startServer(t, tinyServer)
	client := connected(t, server.address, WithClientID("rig"))
	create := func(id string, queries int32) *Study {
		study, err := client.Create(background, tinySpec(id, queries))
		if err != nil {
			t.Fatal(err)
		}
		return study
	}

	t.Run("ask and tell until the end", func(t *testing.T) {
		study := create("whole", 60)
		result, err := study.AskTell(background, ScoreModel(sphereModel), AskOptions{Max: 7})
		if err != nil || result.Measured != 60 {
			t.Fatalf("measured %d: %v", result.Measured, err)
		}
		now, err := study.Wait(background, 0)
		if err != nil || now.GetState() != pb.StudyState_STUDY_STATE_SUCCEEDED {
			t.Fatalf("state %v: %v", now.GetState(), err)
		}
		best, err := study.Best(background, BestOptions{})
		if err != nil || len(best) != 1 || best[0].Latent.Len() != 4 {
			t.Fatalf("best %v: %v", best, err)
		}
		expected, _ := sphereModel(background, &Candidates{
			Latents: Float32Tensor(best[0].Latent.Float32s(), 1, 4)})
		if best[0].GetScore() != expected[0] {
			t.Fatalf("the best latent scores %v, not %v", expected[0], best[0].GetScore())
		}
	})

	t.Run("an error of the model stops the loop", func(t *testing.T) {
		study := create("fails", 60)
		fell := errors.New("the rig fell over")
		_, err := study.AskTell(background, func(context.Context, *Candidates) (Values, error) {
			return Values{}, fell
		}, AskOptions{})
		var model *ModelError
		if !errors.As(err, &model) || !errors.Is(err, fell) {
			t.Fatalf("got %v", err)
		}
		again := connected(t, server.address, WithClientID("rig"))
		held, err := again.Handle(study.ID).Ask(background, AskOptions{Wait: NoWait})
		if err != nil || len(held.IDs) == 0 {
			t.Fatalf("the candidates did not come back: %v", err)
		}
	})

	t.Run("a failed measurement is data", func(t *testing.T) {
		study := create("nan", 30)
		result, err := study.AskTell(background, func(_ context.Context, c *Candidates) (Values, error) {
			scores, _ := sphereModel(background, c)
			scores[0] = math.NaN()
			return Scores(scores), nil
		}, AskOptions{Max: 10})
		if err != nil || result.Measured != 30 {
			t.Fatalf("measured %d: %v", result.Measured, err)
		}
		now, _ := study.Get(background)
		if failed := now.GetAccounting().GetFailedRows(); failed != 3 {
			t.Fatalf("%d failed rows", failed)
		}
	})

	t.Run("typed errors", func(t *testing.T) {
		study := create("errors", 60)
		other := tinySpec("errors", 60)
		other.Targets = []string{"neuron:1"}
		_, err := client.Create(background, other)
		expectKind(t, err, StudyExists)
		if !errors.Is(err, Conflict) || errors.Is(err, NotFound) {
			t.Fatal("StudyExists is a Conflict")
		}
		_, err = client.Study(background, "nowhere")
		expectKind(t, err, NotFound)
		candidates, err := study.Ask(background, AskOptions{Max: 3})
		if err != nil {
			t.Fatal(err)
		}
		_, err = study.Tell(background, candidates.IDs, Scores([]float64{1}))
		expectKind(t, err, ShapeMismatch)
		bad := tinySpec("bad", 60)
		bad.Targets = []string{"neuron:0", "no unit:"}
		_, err = client.Create(background, bad)
		if known := expectKind(t, err, InvalidInput); known.Field != "spec.targets[1].quantities[0]" {
			t.Fatalf("field %q", known.Field)
		}
		if _, err = study.Cancel(background); err != nil {
			t.Fatal(err)
		}
		_, err = study.Tell(background, candidates.IDs, Scores([]float64{1, 2, 3}))
		expectKind(t, err, StudyClosed)
	})

	t.Run("the end of a context ends a wait", func(t *testing.T) {
		study := create("paused", 60)
		if _, err := study.Pause(background); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
		defer cancel()
		_, err := study.AskTell(ctx, ScoreModel(sphereModel), AskOptions{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	})

	t.Run("artifacts and a tensor in chunks", func(t *testing.T) {
		data := make([]byte, 3<<20)
		data[5], data[2<<20] = 1, 2
		digest, err := client.WriteArtifact(background, data)
		if err != nil {
			t.Fatal(err)
		}
		read, err := client.ReadArtifact(background, digest)
		if err != nil || string(read) != string(data) {
			t.Fatalf("%d other bytes: %v", len(read), err)
		}
		seed := int64(3)
		latents, err := client.Sample(background, "tiny", 9000, &seed)
		if err != nil || latents.Rows() != 9000 || latents.Shape[1] != 48 {
			t.Fatalf("latents %v: %v", latents.Shape, err)
		}
	})
}

func TestTheLoopAndTheWatchSurviveAKilledServer(t *testing.T) {
	server := startServer(t, tinyServer)
	client := connected(t, server.address, WithClientID("rig"))
	study, err := client.Create(background, tinySpec("killed", 400))
	if err != nil {
		t.Fatal(err)
	}
	watched := make(chan error, 1)
	var sequences []int64
	go func() {
		watch := study.Watch(background, WatchOptions{})
		for watch.Next() {
			sequences = append(sequences, watch.Event().GetSequence())
		}
		watched <- watch.Err()
	}()
	calls, killed := 0, false
	result, err := study.AskTell(background, func(ctx context.Context, c *Candidates) (Values, error) {
		if calls++; calls == 20 && !killed {
			killed = true
			server.kill()
			go server.start(t)
		}
		return ScoreModel(sphereModel)(ctx, c)
	}, AskOptions{Max: 5})
	if err != nil || result.Measured < 400 {
		t.Fatalf("measured %d: %v", result.Measured, err)
	}
	if err := <-watched; err != nil {
		t.Fatal(err)
	}
	for i, sequence := range sequences {
		if sequence != int64(i+1) {
			t.Fatalf("event %d follows event %d", sequence, i)
		}
	}
	now, _ := study.Get(background)
	if rows := now.GetAccounting().GetSearchRows(); rows != 400 {
		t.Fatalf("%d rows", rows)
	}
}

func TestNoServer(t *testing.T) {
	_, err := Connect(background, "127.0.0.1:1", WithTimeout(5*time.Second))
	expectKind(t, err, ServerUnavailable)
}

func TestATokenIsNotSentUnencryptedToAnotherMachine(t *testing.T) {
	_, err := Connect(background, "192.0.2.1:50051", WithToken("secret"))
	expectKind(t, err, InvalidInput)
	for _, target := range []string{"localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1"} {
		if !isLoopback(target) {
			t.Fatalf("%s is an address of this machine", target)
		}
	}
	if isLoopback("localhost.example.org:1") || isLoopback("10.0.0.1:1") {
		t.Fatal("an address of another machine")
	}
}

func TestReasons(t *testing.T) {
	if reason := OutOfMemory.Reason(); reason != "OUT_OF_MEMORY" {
		t.Fatal(reason)
	}
	for number, name := range pb.ErrorReason_name {
		reason := name[len("ERROR_REASON_"):]
		if number != 0 && kindOfReason(reason) == nil {
			t.Fatalf("no kind for the reason %s", reason)
		}
	}
}
