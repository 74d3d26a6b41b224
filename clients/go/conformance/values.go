package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	bam "blackbox-am/clients/go"
)

type arguments map[string]json.RawMessage

// get is an argument, or the zero value where it is missing or null.
func get[T any](a arguments, name string) T {
	var value T
	if raw, ok := a[name]; ok {
		if err := json.Unmarshal(raw, &value); err != nil {
			panic(&driverError{fmt.Sprintf("argument %q: %v", name, err)})
		}
	}
	return value
}

// need is an argument that must be there.
func need[T any](a arguments, name string) T {
	if raw, ok := a[name]; !ok || string(raw) == "null" {
		panic(&driverError{fmt.Sprintf("the argument %q is missing", name)})
	}
	return get[T](a, name)
}

func seconds(a arguments, name string) time.Duration {
	return time.Duration(get[float64](a, name) * float64(time.Second))
}

// double is a float64 that can be NaN or infinite.
type double float64

func (d double) MarshalJSON() ([]byte, error) {
	value := float64(d)
	switch {
	case math.IsNaN(value):
		return []byte(`"NaN"`), nil
	case math.IsInf(value, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(value, -1):
		return []byte(`"-Infinity"`), nil
	}
	return json.Marshal(value)
}

func (d *double) UnmarshalJSON(raw []byte) error {
	value, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	*d = double(value)
	return err
}

func doubles(values []float64) []double {
	converted := make([]double, len(values))
	for i, value := range values {
		converted[i] = double(value)
	}
	return converted
}

func optionalDouble(value *float64) *double {
	if value == nil {
		return nil
	}
	converted := double(*value)
	return &converted
}

// tensor is a tensor as JSON.
type tensor struct {
	Dtype string `json:"dtype"`
	Shape []int  `json:"shape"`
	Data  []byte `json:"data"`
}

func tensorJSON(from bam.Tensor) *tensor {
	shape := append([]int{}, from.Shape...)
	return &tensor{from.Dtype, shape, append([]byte{}, from.Data...)}
}

func optionalTensorJSON(from *bam.Tensor) *tensor {
	if from == nil {
		return nil
	}
	return tensorJSON(*from)
}

func (t tensor) tensor() bam.Tensor { return bam.Tensor{Dtype: t.Dtype, Shape: t.Shape, Data: t.Data} }

type enum interface {
	String() string
	~int32
}

// nameOf is the name of an enumeration's value without its prefix.
func nameOf[E enum](value E, prefix string) string {
	name := value.String()
	switch {
	case value == 0:
		return ""
	case !strings.HasPrefix(name, prefix): // a number without a name
		return "UNKNOWN"
	}
	return strings.TrimPrefix(name, prefix)
}

// listed is values, and an empty list for nil.
func listed[T any](values []T) []T { return append([]T{}, values...) }

func ids(texts []string) []uint64 {
	numbers := make([]uint64, len(texts))
	for i, text := range texts {
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			panic(&driverError{err.Error()})
		}
		numbers[i] = number
	}
	return numbers
}

func idTexts(numbers []uint64) []string {
	texts := make([]string, len(numbers))
	for i, number := range numbers {
		texts[i] = strconv.FormatUint(number, 10)
	}
	return texts
}
