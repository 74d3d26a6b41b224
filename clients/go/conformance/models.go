package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	bam "blackbox-am/clients/go"
)

var errFell = errors.New("the rig fell over")

// modelOf is the model function of a request.
func modelOf(a arguments, pause time.Duration) bam.Model {
	name, number := need[string](a, "name"), 0
	return func(_ context.Context, candidates *bam.Candidates) (bam.Values, error) {
		input := candidates.Latents
		if candidates.Stimuli != nil {
			input = *candidates.Stimuli
		}
		rows := input.Rows()
		time.Sleep(pause * time.Duration(rows))
		var scores, table []float64
		units := get[int](a, "units")
		for i := 0; i < rows; i++ {
			number++
			x := input.Row(i).Float64s()
			switch name {
			case "sphere", "short":
				scores = append(scores, sphere(x))
			case "linear":
				scores = append(scores, linear(x, get[int](a, "shift")))
			case "codes":
				scores = append(scores, codes(x, need[int](a, "categories")))
			case "mean":
				scores = append(scores, mean(x))
			case "units":
				for j := 0; j < units; j++ {
					table = append(table, linear(x, j))
				}
			case "nan":
				score := sphere(x)
				if number%need[int](a, "every") == 0 {
					score = math.NaN()
				}
				scores = append(scores, score)
			case "throws":
				if number > need[int](a, "after") {
					return bam.Values{}, errFell
				}
				scores = append(scores, sphere(x))
			default:
				panic(&driverError{fmt.Sprintf("unknown model %q", name)})
			}
		}
		if name == "units" {
			return bam.Activations(bam.Float64Tensor(table, rows, units)), nil
		}
		if name == "short" {
			scores = scores[:rows-1]
		}
		return bam.Scores(scores), nil
	}
}

func sphere(x []float64) float64 {
	sum := 0.0
	for _, value := range x {
		sum += value * value
	}
	return -sum
}

func linear(x []float64, shift int) float64 {
	sum := 0.0
	for i, value := range x {
		sum += float64((i+shift)%7-3) * value
	}
	return sum
}

func codes(x []float64, categories int) float64 {
	count := 0.0
	for i, value := range x {
		if int(value) == i%categories {
			count++
		}
	}
	return count
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, value := range x {
		sum += value
	}
	return sum / float64(len(x))
}
