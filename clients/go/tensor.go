package blackboxam

import (
	"encoding/binary"
	"math"
	"strings"

	pb "blackbox-am/clients/go/blackboxamv1"
)

// A Tensor is a dense array: row-major, little-endian.
type Tensor struct {
	// Dtype is the type of the elements: `float32`, `float64`, `float16`, `uint8`, `int32`, `int64`.
	Dtype string
	Shape []int
	Data  []byte
}

var itemSizes = map[string]int{
	"float32": 4, "float64": 8, "float16": 2, "uint8": 1, "int32": 4, "int64": 8,
}

const maxAxes = 32

// Float32Tensor is a tensor of values, which it copies.
func Float32Tensor(values []float32, shape ...int) Tensor {
	data := make([]byte, 4*len(values))
	for i, value := range values {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(value))
	}
	return Tensor{"float32", shape, data}
}

// Float64Tensor is a tensor of values, which it copies.
func Float64Tensor(values []float64, shape ...int) Tensor {
	data := make([]byte, 8*len(values))
	for i, value := range values {
		binary.LittleEndian.PutUint64(data[8*i:], math.Float64bits(value))
	}
	return Tensor{"float64", shape, data}
}

// Uint8Tensor is a tensor of values, which it does not copy.
func Uint8Tensor(values []byte, shape ...int) Tensor { return Tensor{"uint8", shape, values} }

// Rows is the length of the first axis; 0 for the zero Tensor.
func (t Tensor) Rows() int {
	if len(t.Shape) == 0 {
		return 0
	}
	return t.Shape[0]
}

// Len is the number of elements.
func (t Tensor) Len() int {
	if itemSizes[t.Dtype] == 0 {
		return 0
	}
	return len(t.Data) / itemSizes[t.Dtype]
}

// Row is row i of the first axis. It shares the data.
func (t Tensor) Row(i int) Tensor { return t.slice(i, i+1).withShape(t.Shape[1:]) }

func (t Tensor) slice(start, stop int) Tensor {
	size := len(t.Data) / t.Shape[0]
	shape := append([]int{stop - start}, t.Shape[1:]...)
	return Tensor{t.Dtype, shape, t.Data[start*size : stop*size]}
}

func (t Tensor) withShape(shape []int) Tensor { return Tensor{t.Dtype, shape, t.Data} }

// Float64 is element i in row-major order, converted to a float64.
func (t Tensor) Float64(i int) float64 {
	switch t.Dtype {
	case "float32":
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:])))
	case "float64":
		return math.Float64frombits(binary.LittleEndian.Uint64(t.Data[8*i:]))
	case "float16":
		return fromHalf(binary.LittleEndian.Uint16(t.Data[2*i:]))
	case "uint8":
		return float64(t.Data[i])
	case "int32":
		return float64(int32(binary.LittleEndian.Uint32(t.Data[4*i:])))
	default:
		return float64(int64(binary.LittleEndian.Uint64(t.Data[8*i:])))
	}
}

// Float64s is all elements, converted to float64.
func (t Tensor) Float64s() []float64 {
	values := make([]float64, t.Len())
	for i := range values {
		values[i] = t.Float64(i)
	}
	return values
}

// Float32s is all elements, converted to float32.
func (t Tensor) Float32s() []float32 {
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = float32(t.Float64(i))
	}
	return values
}

func fromHalf(bits uint16) float64 {
	sign, exponent, fraction := 1.0, int(bits>>10)&31, float64(bits&1023)
	if bits>>15 == 1 {
		sign = -1
	}
	switch {
	case exponent == 31 && fraction == 0:
		return math.Inf(int(sign))
	case exponent == 31:
		return math.NaN()
	case exponent == 0:
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// dtypeNumber is the number of a dtype on the wire.
func dtypeNumber(name string) pb.Dtype {
	return pb.Dtype(pb.Dtype_value["DTYPE_"+strings.ToUpper(name)])
}

func (t Tensor) message() *pb.Tensor {
	message := t.header()
	message.Data = t.Data
	return message
}

func (t Tensor) header() *pb.Tensor {
	shape := make([]int64, len(t.Shape))
	for i, length := range t.Shape {
		shape[i] = int64(length)
	}
	return &pb.Tensor{Dtype: dtypeNumber(t.Dtype), Shape: shape}
}

// tensorOf is the tensor in message, whose data it shares.
func tensorOf(message *pb.Tensor, field string) (Tensor, error) {
	tensor, size, err := announced(message, field)
	if err != nil {
		return Tensor{}, err
	}
	tensor.Data = message.GetData()
	if int64(len(tensor.Data)) != size {
		return Tensor{}, newError(ShapeMismatch, field, "%s: %s of shape %v is %d bytes, got %d",
			field, tensor.Dtype, tensor.Shape, size, len(tensor.Data))
	}
	return tensor, nil
}

// announced is a tensor without its data, and the number of bytes of its data.
func announced(message *pb.Tensor, field string) (Tensor, int64, error) {
	name := strings.ToLower(strings.TrimPrefix(message.GetDtype().String(), "DTYPE_"))
	item := int64(itemSizes[name])
	if item == 0 {
		return Tensor{}, 0, newError(ShapeMismatch, field,
			"%s: expected a dtype out of float32, float64, float16, uint8, int32, int64, got %s",
			field, name)
	}
	if len(message.GetShape()) > maxAxes {
		return Tensor{}, 0, newError(ShapeMismatch, field, "%s: expected at most %d axes, got %d",
			field, maxAxes, len(message.GetShape()))
	}
	size, shape := item, make([]int, len(message.GetShape()))
	for i, length := range message.GetShape() {
		if length < 0 || (length > 0 && size > math.MaxInt64/length) {
			return Tensor{}, 0, newError(ShapeMismatch, field, "%s: no array has the shape %v",
				field, message.GetShape())
		}
		size *= length
		shape[i] = int(length)
	}
	return Tensor{Dtype: name, Shape: shape}, size, nil
}
