package blackboxam

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "blackbox-am/clients/go/blackboxamv1"
)

// WatchOptions say which events to watch.
type WatchOptions struct {
	// AfterSequence: only events after this one; 0 for all.
	AfterSequence int64
	// MinInterval: events of generations that follow each other faster are left out, but for the
	// last one.
	MinInterval time.Duration
	// Reconnect is the longest wait for a server that is away; the client's where it is 0.
	Reconnect time.Duration
}

// A Watch is an iterator of the events of a study, in order, until the study ends:
//
//	watch := study.Watch(ctx, blackboxam.WatchOptions{})
//	defer watch.Close()
//	for watch.Next() {
//		event := watch.Event()
//	}
//	err := watch.Err()
//
// After a lost connection it continues after the last event, without gaps or repeats. An event of a
// kind that this client does not know has a nil Event. A Watch serves one goroutine.
type Watch struct {
	study    *Study
	ctx      context.Context
	cancel   context.CancelFunc
	options  WatchOptions
	attempts *reconnecting
	stream   pb.StudyService_WatchStudyClient
	event    *pb.StudyEvent
	err      error
	ended    bool
}

// Watch watches the study. It connects with the first call of Next.
func (s *Study) Watch(ctx context.Context, options WatchOptions) *Watch {
	if options.Reconnect == 0 {
		options.Reconnect = s.client.reconnect
	}
	ctx, cancel := context.WithCancel(ctx)
	return &Watch{
		study: s, ctx: ctx, cancel: cancel, options: options,
		attempts: newReconnecting(options.Reconnect),
	}
}

// Next waits for the next event. It is false at the end of the study, and after an error.
func (w *Watch) Next() bool {
	for !w.ended {
		update, err := w.receive()
		if err == nil {
			w.attempts.answered()
			event := update.GetEvent()
			if event.GetSequence() > w.options.AfterSequence {
				w.options.AfterSequence = event.GetSequence()
				w.event = event
				return true
			}
			continue
		}
		w.stream = nil
		if err = w.study.client.streamError(w.ctx, err); err != nil {
			if err = w.attempts.failed(w.ctx, err); err == nil {
				continue
			}
		}
		w.err, w.ended = err, true
	}
	return false
}

// Event is the event that Next found.
func (w *Watch) Event() *pb.StudyEvent { return w.event }

// Err is the error that ended the watch; nil if the study ended. It is of the kind
// ServerUnavailable if the server did not come back in time, and NotFound if the study was deleted.
func (w *Watch) Err() error { return w.err }

// Close ends the watch. The study continues.
func (w *Watch) Close() { w.cancel() }

func (w *Watch) receive() (*pb.WatchStudyResponse, error) {
	if w.stream == nil {
		request := &pb.WatchStudyRequest{
			Name: w.study.name, AfterSequence: &w.options.AfterSequence,
		}
		if w.options.MinInterval > 0 {
			request.MinInterval = durationpb.New(w.options.MinInterval)
		}
		stream, err := w.study.client.studies.WatchStudy(w.ctx, request)
		if err != nil {
			return nil, err
		}
		w.stream = stream
	}
	return w.stream.Recv()
}
