package main

import (
	"context"
	"sync"
	"time"

	bam "blackbox-am/clients/go"
	pb "blackbox-am/clients/go/blackboxamv1"
)

// watch collects the events of a study in the background.
type watch struct {
	stop    context.CancelFunc
	mutex   sync.Mutex
	changed chan struct{}
	events  []any
	ended   bool
	err     error
}

func watchStart(d *driver, ctx context.Context, a arguments) (any, error) {
	name := need[string](a, "watch")
	if before := d.watches[name]; before != nil {
		before.stop()
	}
	ctx, stop := context.WithCancel(ctx)
	events := d.study(a).Watch(ctx, bam.WatchOptions{
		AfterSequence: get[int64](a, "after_sequence"), MinInterval: seconds(a, "min_interval_s"),
		Reconnect: seconds(a, "reconnect_s"),
	})
	started := &watch{stop: stop, changed: make(chan struct{}, 1)}
	d.watches[name] = started
	go started.collect(events)
	return struct{}{}, nil
}

func (w *watch) collect(events *bam.Watch) {
	for events.Next() {
		w.add(func() { w.events = append(w.events, eventJSON(events.Event())) })
	}
	w.add(func() { w.ended, w.err = true, events.Err() })
}

func (w *watch) add(change func()) {
	w.mutex.Lock()
	change()
	w.mutex.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// take is up to count events; false if there may soon be more of them.
func (w *watch) take(count int, last bool) (any, error, bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if len(w.events) < count && !w.ended && !last {
		return nil, nil, false
	}
	if len(w.events) == 0 && w.err != nil {
		return nil, w.err, true
	}
	if count > len(w.events) {
		count = len(w.events)
	}
	taken := w.events[:count]
	w.events = w.events[count:]
	ended := w.ended && w.err == nil && len(w.events) == 0
	return map[string]any{"events": listed(taken), "ended": ended}, nil, true
}

func watchNext(d *driver, _ context.Context, a arguments) (any, error) {
	name := need[string](a, "watch")
	found := d.watches[name]
	if found == nil {
		return nil, &driverError{"no watch " + name}
	}
	count := need[int](a, "count")
	limit := time.After(seconds(a, "timeout_s"))
	for last := false; ; {
		if answer, err, complete := found.take(count, last); complete {
			return answer, err
		}
		select {
		case <-found.changed:
		case <-limit:
			last = true
		}
	}
}

func watchStop(d *driver, _ context.Context, a arguments) (any, error) {
	name := need[string](a, "watch")
	if found := d.watches[name]; found != nil {
		found.stop()
		delete(d.watches, name)
	}
	return struct{}{}, nil
}

func eventJSON(event *pb.StudyEvent) map[string]any {
	answer := map[string]any{"sequence": event.GetSequence()}
	switch kind := event.GetEvent().(type) {
	case *pb.StudyEvent_Created:
		answer["kind"] = "created"
	case *pb.StudyEvent_StateChanged:
		answer["kind"] = "state_changed"
		answer["state"] = stateOf(kind.StateChanged.GetState())
		answer["stop_reason"] = nameOf(kind.StateChanged.GetStopReason(), "STOP_REASON_")
		answer["message"] = kind.StateChanged.GetMessage()
	case *pb.StudyEvent_GenerationOpened:
		answer["kind"] = "generation_opened"
		answer["generation"] = kind.GenerationOpened.GetGeneration()
		answer["candidates"] = kind.GenerationOpened.GetCandidates()
	case *pb.StudyEvent_RowsTold:
		answer["kind"] = "rows_told"
		answer["generation"] = kind.RowsTold.GetGeneration()
		answer["rows"], answer["failed"] = kind.RowsTold.GetRows(), kind.RowsTold.GetFailed()
	case *pb.StudyEvent_GenerationClosed:
		closed := kind.GenerationClosed
		answer["kind"], answer["generation"] = "generation_closed", closed.GetGeneration()
		answer["targets"] = listed(closed.GetTargets())
		answer["best_scores"] = doubles(closed.GetBestScores())
		answer["mean_scores"] = doubles(closed.GetMeanScores())
		answer["best_so_far"] = doubles(closed.GetBestSoFar())
		answer["total_rows"] = closed.GetTotalRows()
		answer["search_rows"] = closed.GetSearchRows()
	case *pb.StudyEvent_BudgetChanged:
		answer["kind"] = "budget_changed"
		answer["queries_per_target"] = kind.BudgetChanged.GetBudget().GetQueriesPerTarget()
	case *pb.StudyEvent_Resumed:
		answer["kind"] = "resumed"
		answer["generation"] = kind.Resumed.GetGeneration()
		answer["exact"] = kind.Resumed.GetExact()
	case *pb.StudyEvent_Adopted:
		answer["kind"] = "adopted"
	case *pb.StudyEvent_BaselineMeasured:
		answer["kind"] = "baseline_measured"
	case *pb.StudyEvent_BestRechecked:
		answer["kind"] = "best_rechecked"
	default: // of a later server
		answer["kind"] = ""
	}
	return answer
}
