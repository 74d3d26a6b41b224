package main

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"

	bam "blackbox-am/clients/go"
)

// served is the oracle that the driver serves.
type served struct {
	server      *bam.OracleServer
	calls, rows int64
}

func serveOracle(d *driver, _ context.Context, a arguments) (any, error) {
	if d.served != nil {
		d.served.server.Stop()
	}
	counts := &served{}
	units := need[int](a, "units")
	measure, err := measurement(a)
	if err != nil {
		return nil, err
	}
	oracle := bam.Oracle{
		Name: need[string](a, "name"), Kind: "conformance",
		StimulusShape: need[[]int](a, "stimulus_shape"),
		Layers:        []bam.OracleLayer{{Name: "out", Units: units}},
		BatchSize:     16, Fingerprint: "conformance-1",
	}
	oracle.Observe = func(
		_ context.Context, stimuli bam.Stimuli, units []bam.OracleUnit,
	) ([][]float32, error) {
		atomic.AddInt64(&counts.calls, 1)
		atomic.AddInt64(&counts.rows, int64(stimuli.Rows))
		rows := make([][]float32, stimuli.Rows)
		for i := range rows {
			rows[i] = make([]float32, len(units))
			for j, unit := range units {
				value, err := measure(stimuli.Row(i), unit.Index)
				if err != nil {
					return nil, err
				}
				rows[i][j] = value
			}
		}
		return rows, nil
	}
	server, err := bam.ServeOracle(fmt.Sprintf("127.0.0.1:%d", get[int](a, "port")), oracle)
	if err != nil {
		return nil, err
	}
	counts.server = server
	d.served = counts
	return map[string]any{"address": server.Address}, nil
}

func stopOracle(d *driver, _ context.Context, _ arguments) (any, error) {
	if d.served == nil {
		return nil, &driverError{"no oracle is served"}
	}
	d.served.server.Stop()
	counts := map[string]any{"calls": d.served.calls, "rows": d.served.rows}
	d.served = nil
	return counts, nil
}

// measurement is the activation of one unit for one stimulus.
func measurement(a arguments) (func(x []float32, unit int) (float32, error), error) {
	switch name := need[string](a, "model"); name {
	case "unit_sums":
		return unitSum, nil
	case "first":
		return func(x []float32, unit int) (float32, error) { return x[unit], nil }, nil
	case "raises":
		kind, known := bam.KindOf(need[string](a, "error"))
		if !known {
			return nil, &driverError{"unknown class of errors"}
		}
		return func([]float32, int) (float32, error) {
			return 0, bam.NewError(kind, "no memory for this batch")
		}, nil
	case "throws":
		return func([]float32, int) (float32, error) { return 0, errFell }, nil
	default:
		return nil, &driverError{fmt.Sprintf("unknown model %q", name)}
	}
}

func unitSum(x []float32, unit int) (float32, error) {
	if x[0] == 0 {
		return float32(math.NaN()), nil
	}
	sum := 0.0
	for i, value := range x {
		sum += float64((i+unit)%7-3) * float64(value)
	}
	return float32(sum), nil
}
