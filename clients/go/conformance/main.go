// Command conformance is the conformance driver of this client: it carries out requests, one JSON
// object a line, and writes one answer a line. clients/conformance/PROTOCOL.md describes them.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"

	bam "blackbox-am/clients/go"
)

// driver is what a driver keeps between requests.
type driver struct {
	client  *bam.Client
	watches map[string]*watch
	served  *served
}

type verb func(*driver, context.Context, arguments) (any, error)

var verbs map[string]verb

func init() {
	verbs = map[string]verb{
		"hello": hello, "connect": connect, "close": closed, "server_info": serverInfo,
		"create_study": createStudy, "get_study": getStudy, "list_studies": listStudies,
		"pause": pause, "resume": resume, "cancel": cancel, "extend": extend, "delete": remove,
		"generations": generations, "best": best, "wait": wait,
		"ask": ask, "tell": tell, "renew": renew, "ask_tell": askTell,
		"watch_start": watchStart, "watch_next": watchNext, "watch_stop": watchStop,
		"list_oracles": listOracles, "list_generators": listGenerators,
		"list_optimizers": listOptimizers, "list_units": listUnits, "sample": sample,
		"render": render, "observe": observe, "describe_oracle": describeOracle,
		"write_artifact": writeArtifact, "read_artifact": readArtifact,
		"serve_oracle": serveOracle, "stop_oracle": stopOracle,
	}
}

// driverError is a request that the driver does not understand.
type driverError struct{ message string }

func (e *driverError) Error() string { return e.message }

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	state := &driver{watches: map[string]*watch{}}
	for {
		line, err := input.ReadBytes('\n')
		if len(line) > 0 {
			_ = json.NewEncoder(output).Encode(state.answer(line))
			_ = output.Flush()
		}
		if err != nil { // the end of the input
			state.end()
			return
		}
	}
}

func (d *driver) answer(line []byte) map[string]any {
	var request arguments
	if err := json.Unmarshal(line, &request); err != nil {
		return map[string]any{"id": nil, "error": errorOf(&driverError{err.Error()})}
	}
	result, err := d.carryOut(request)
	if err != nil {
		return map[string]any{"id": request["id"], "error": errorOf(err)}
	}
	return map[string]any{"id": request["id"], "ok": result}
}

func (d *driver) carryOut(request arguments) (result any, err error) {
	defer func() { // a missing argument
		if problem := recover(); problem != nil {
			missing, ok := problem.(*driverError)
			if !ok {
				panic(problem)
			}
			err = missing
		}
	}()
	name := need[string](request, "do")
	carryOut, known := verbs[name]
	if !known {
		return nil, &driverError{fmt.Sprintf("unknown verb %q", name)}
	}
	if d.client == nil && needsConnection(name) {
		return nil, &driverError{"connect first"}
	}
	return carryOut(d, context.Background(), request)
}

func needsConnection(name string) bool {
	switch name {
	case "hello", "connect", "close", "serve_oracle", "stop_oracle":
		return false
	}
	return true
}

func (d *driver) end() {
	d.disconnect()
	if d.served != nil {
		d.served.server.Stop()
	}
}

func errorOf(err error) map[string]any {
	answer := map[string]any{
		"kind": "Driver", "reason": "", "message": err.Error(), "field": "", "retry_after_s": nil,
	}
	var known *bam.Error
	var model *bam.ModelError
	switch {
	case errors.As(err, &model):
		answer["kind"] = "Model"
	case errors.As(err, &known):
		answer["kind"], answer["reason"] = known.Kind.Error(), known.Reason
		answer["field"] = known.Field
		if known.RetryAfter > 0 {
			answer["retry_after_s"] = known.RetryAfter.Seconds()
		}
	}
	return answer
}

func hello(*driver, context.Context, arguments) (any, error) {
	var names []string
	for name := range verbs {
		names = append(names, name)
	}
	sort.Strings(names)
	return map[string]any{
		"language": "go", "client_version": bam.APIVersion, "api_version": bam.APIVersion,
		"verbs": names,
	}, nil
}
