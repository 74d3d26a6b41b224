package blackboxam

import (
	"fmt"
	"strconv"
	"strings"
)

// unit is the unit of an address `layer:index`, in which the layer's name may stand in quotes.
func (o Oracle) unit(address string) (OracleUnit, bool) {
	colon := strings.LastIndexByte(address, ':')
	if colon < 0 {
		return OracleUnit{}, false
	}
	index, err := strconv.ParseUint(address[colon+1:], 10, 31)
	if err != nil {
		return OracleUnit{}, false
	}
	layer := unquoted(address[:colon])
	for _, known := range o.Layers {
		if known.Name == layer && int(index) < known.Units {
			return OracleUnit{layer, int(index)}, true
		}
	}
	return OracleUnit{}, false
}

// unquoted is the name of a layer without the quotes of its whole, and without their backslashes.
func unquoted(name string) string {
	if len(name) < 2 || name[0] != '"' || name[len(name)-1] != '"' {
		return name
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(name[1 : len(name)-1])
}

func (o Oracle) unitsInWords() string {
	words := make([]string, len(o.Layers))
	for i, layer := range o.Layers {
		words[i] = fmt.Sprintf("%s:0 to %s:%d", layer.Name, layer.Name, layer.Units-1)
	}
	return strings.Join(words, ", ")
}
