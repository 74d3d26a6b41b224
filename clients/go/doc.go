// Package blackboxam is a client of the service blackbox_am: gradient-free search for the stimuli
// that a unit of a model responds to.
//
//	client, err := blackboxam.Connect(ctx, "localhost:50051", blackboxam.WithClientID("rig-2"))
//	study, err := client.Create(ctx, blackboxam.Spec{
//		StudyID: "my-neuron", Targets: []string{"neuron:0"}, Generator: "cifar_vae",
//		QueriesPerTarget: 1000,
//	})
//	result, err := study.AskTell(ctx, model, blackboxam.AskTellOptions{WithStimuli: true})
//	best, err := study.Best(ctx, blackboxam.BestOptions{})
//
// The messages of the service are in the package blackboxamv1. Errors are values of *Error, and
// errors.Is compares them with the kinds of this package, such as StudyExists.
package blackboxam

// APIVersion is the version of the service that this client speaks: MAJOR.MINOR of the package
// blackbox_am.
const APIVersion = "0.1"
