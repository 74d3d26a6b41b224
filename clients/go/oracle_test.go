package blackboxam

import (
	"context"
	"fmt"
	"net"
	"testing"

	pb "blackbox-am/clients/go/blackboxamv1"
)

func sums(_ context.Context, stimuli Stimuli, units []OracleUnit) ([][]float32, error) {
	rows := make([][]float32, stimuli.Rows)
	for i := range rows {
		sum := float32(0)
		for _, x := range stimuli.Row(i) {
			sum += x
		}
		for _, unit := range units {
			rows[i] = append(rows[i], sum*float32(unit.Index+1))
		}
	}
	return rows, nil
}

func tinyOracle() Oracle {
	return Oracle{
		Name: "sums", Kind: "test", StimulusShape: []int{3, 4, 4}, BatchSize: 8,
		Layers: []OracleLayer{{Name: "out", Units: 3}}, Fingerprint: "sums-1", Observe: sums,
	}
}

// An oracle in Go that a study of a server searches.
func TestAStudySearchesTheOracle(t *testing.T) {
	oracle, err := ServeOracle("127.0.0.1:0", tinyOracle())
	if err != nil {
		t.Fatal(err)
	}
	defer oracle.Stop()
	config := fmt.Sprintf("%s\n[oracles.far]\nkind = \"remote\"\ntarget = %q\n", tinyServer, oracle.Address)
	server := startServer(t, config)
	client := connected(t, server.address)

	described, err := client.DescribeOracle(background, "far")
	if err != nil || described.GetLayers()[0].GetUnits() != 3 {
		t.Fatalf("%v: %v", described, err)
	}
	stimuli := Uint8Tensor(make([]byte, 2*48), 2, 3, 4, 4)
	stimuli.Data[48] = 255
	found, err := client.Observe(background, "far", stimuli, []string{"out:0", "out:2"})
	if err != nil {
		t.Fatal(err)
	}
	if values := fmt.Sprint(found.Float64s(), found.Shape); values != "[0 0 1 3] [2 2]" {
		t.Fatal(values)
	}
	study, err := client.Create(background, Spec{
		Targets: []string{"out:1"}, Generator: "tiny", Oracle: "far", QueriesPerTarget: 200,
	})
	if err != nil {
		t.Fatal(err)
	}
	end, err := study.Wait(background, 0)
	if err != nil || end.GetState() != pb.StudyState_STUDY_STATE_SUCCEEDED {
		t.Fatalf("%v: %v", end, err)
	}
}

func TestErrorsOfAnOracle(t *testing.T) {
	oracle := tinyOracle()
	service := &oracleService{oracle: oracle}
	observe := func(name string, stimuli Tensor, units ...string) error {
		_, err := service.Observe(background, &pb.ObserveRequest{
			Oracle: name, Stimuli: stimuli.message(), Units: units})
		return fromRPC(background, err, "the oracle")
	}
	right := Float32Tensor(make([]float32, 48), 1, 3, 4, 4)
	expectKind(t, observe("other", right, "out:0"), NotFound)
	if known := expectKind(t, observe("", right, "out:0", "out:3"), UnknownUnit); known.Field != "units[1]" {
		t.Fatalf("field %q", known.Field)
	}
	wrong := Float32Tensor(make([]float32, 48), 1, 48)
	expectKind(t, observe("", wrong, "out:0"), ShapeMismatch)
	right.Data = right.Data[1:]
	if known := expectKind(t, observe("", right, "out:0"), ShapeMismatch); known.Field != "stimuli" {
		t.Fatalf("field %q", known.Field)
	}
	service.oracle.Observe = func(context.Context, Stimuli, []OracleUnit) ([][]float32, error) {
		return nil, NewError(OutOfMemory, "no memory for this batch")
	}
	right = Float32Tensor(make([]float32, 48), 1, 3, 4, 4)
	expectKind(t, observe("", right, "out:0"), OutOfMemory)
	service.oracle.Observe = func(context.Context, Stimuli, []OracleUnit) ([][]float32, error) {
		panic("index out of range")
	}
	expectKind(t, observe("", right, "out:0"), OracleFailed)
	service.oracle.Observe = func(context.Context, Stimuli, []OracleUnit) ([][]float32, error) {
		return [][]float32{{1, 2}}, nil
	}
	expectKind(t, observe("", right, "out:0"), OracleFailed)
}

// An address that another program uses is an error.
func TestAnAddressInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = ServeOracle(listener.Addr().String(), tinyOracle())
	expectKind(t, err, InvalidInput)
}
