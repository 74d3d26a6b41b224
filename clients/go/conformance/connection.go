package main

import (
	"context"

	bam "blackbox-am/clients/go"
)

func connect(d *driver, ctx context.Context, a arguments) (any, error) {
	d.disconnect()
	options := append(tlsOptions(a), bam.WithClientID(get[string](a, "client_id")),
		bam.WithToken(get[string](a, "token")))
	if limit := seconds(a, "timeout_s"); limit > 0 {
		options = append(options, bam.WithTimeout(limit))
	}
	client, err := bam.Connect(ctx, need[string](a, "target"), options...)
	if err != nil {
		return nil, err
	}
	d.client = client
	return struct{}{}, nil
}

func tlsOptions(a arguments) []bam.Option {
	switch raw := string(a["tls"]); raw {
	case "", "null", "false":
		return nil
	case "true":
		return []bam.Option{bam.WithTLS()}
	}
	files := get[struct{ CA, Certificate, Key string }](a, "tls")
	options := []bam.Option{bam.WithTLS()}
	if files.CA != "" {
		options = append(options, bam.WithCA(files.CA))
	}
	if files.Certificate != "" || files.Key != "" {
		options = append(options, bam.WithCertificate(files.Certificate, files.Key))
	}
	return options
}

func closed(d *driver, _ context.Context, _ arguments) (any, error) {
	d.disconnect()
	return struct{}{}, nil
}

func (d *driver) disconnect() {
	for name, watch := range d.watches {
		watch.stop()
		delete(d.watches, name)
	}
	if d.client != nil {
		_ = d.client.Close()
		d.client = nil
	}
}

func serverInfo(d *driver, ctx context.Context, _ arguments) (any, error) {
	info, err := d.client.ServerInfo(ctx)
	return map[string]any{
		"version": info.GetVersion(), "api_version": info.GetApiVersion(),
		"device": info.GetDevice(), "features": listed(info.GetFeatures()),
		"max_message_bytes": info.GetLimits().GetMaxMessageBytes(),
		"max_page_size":     info.GetLimits().GetMaxPageSize(),
	}, err
}
