package blackboxam

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// access is how a client connects: encryption, certificates, token.
type access struct {
	token           string
	tls             bool
	caFile          string
	certificateFile string
	keyFile         string
}

// WithToken sends a token with each call. Without TLS it is sent only to an address of this machine.
func WithToken(token string) Option { return func(s *settings) { s.access.token = token } }

// WithTLS encrypts the connection and trusts the certificates of the system.
func WithTLS() Option { return func(s *settings) { s.access.tls = true } }

// WithCA encrypts the connection and trusts the certificates of the file, in PEM.
func WithCA(file string) Option {
	return func(s *settings) { s.access.tls, s.access.caFile = true, file }
}

// WithCertificate is the client's own certificate and its key, in PEM. It needs WithTLS or WithCA.
func WithCertificate(certificateFile, keyFile string) Option {
	return func(s *settings) {
		s.access.certificateFile, s.access.keyFile = certificateFile, keyFile
	}
}

func (a access) dialOptions(target string) ([]grpc.DialOption, error) {
	if a.token != "" && !a.tls && !isLoopback(target) {
		return nil, newError(InvalidInput, "token", "a token for %s would be sent unencrypted; use "+
			"TLS (WithTLS or WithCA), or an address of this machine", target)
	}
	if !a.tls {
		if a.certificateFile != "" || a.keyFile != "" {
			return nil, newError(InvalidInput, "certificate",
				"a client's certificate needs TLS; add WithTLS or WithCA")
		}
		return append(a.tokenOptions(), plaintext()), nil
	}
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	encrypted := grpc.WithTransportCredentials(credentials.NewTLS(config))
	return append(a.tokenOptions(), encrypted), nil
}

func (a access) tokenOptions() []grpc.DialOption {
	if a.token == "" {
		return nil
	}
	return []grpc.DialOption{grpc.WithPerRPCCredentials(bearer(a.token))}
}

func (a access) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.caFile != "" {
		pem, err := os.ReadFile(a.caFile)
		if err != nil {
			return nil, newError(InvalidInput, "ca", "cannot read certificates: %v", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, newError(InvalidInput, "ca", "%s has no certificate in PEM", a.caFile)
		}
	}
	if a.certificateFile != "" || a.keyFile != "" {
		pair, err := tls.LoadX509KeyPair(a.certificateFile, a.keyFile)
		if err != nil {
			return nil, newError(InvalidInput, "certificate",
				"expected a certificate and its key in PEM, in %q and %q: %v",
				a.certificateFile, a.keyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// bearer is a token. dialOptions allows it without encryption only for this machine.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool { return false }

func isLoopback(target string) bool {
	if strings.HasPrefix(target, "unix:") {
		return true
	}
	if _, rest, found := strings.Cut(target, ":///"); found {
		target = rest
	}
	if strings.ContainsAny(target, "/@,#?") {
		return false // it names more than one host
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = strings.Trim(target, "[]")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address := net.ParseIP(host)
	return address != nil && address.IsLoopback()
}
