package blackboxam

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const tinyServer = `
[server]
shipped = false
device = "cpu"

[generators.tiny]
kind = "pixels"
shape = [3, 4, 4]
`

// serverProcess is a real server in a process of its own, which a test can kill.
type serverProcess struct {
	address string
	folder  string
	command *exec.Cmd
}

func startServer(t *testing.T, config string) *serverProcess {
	t.Helper()
	if os.Getenv("BLACKBOX_AM_PYTHON") == "" {
		t.Skip("BLACKBOX_AM_PYTHON names no Python with blackbox_am")
	}
	server := &serverProcess{address: "127.0.0.1:0", folder: t.TempDir()}
	if err := os.WriteFile(filepath.Join(server.folder, "c.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	server.start(t)
	t.Cleanup(server.kill)
	return server
}

// start starts the server, again at its address after a kill.
func (s *serverProcess) start(t *testing.T) {
	t.Helper()
	ready := filepath.Join(s.folder, "ready")
	_ = os.Remove(ready)
	s.command = exec.Command(os.Getenv("BLACKBOX_AM_PYTHON"), "-m", "blackbox_am.cli", "serve",
		"--address", s.address, "--store", filepath.Join(s.folder, "s.sqlite3"),
		"--ready-file", ready, "--config", filepath.Join(s.folder, "c.toml"))
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(90 * time.Second); time.Now().Before(limit); {
		if text, _ := os.ReadFile(ready); len(strings.TrimSpace(string(text))) > 0 {
			s.address = strings.TrimSpace(string(text))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the server does not start")
}

func (s *serverProcess) kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

func connected(t *testing.T, address string, options ...Option) *Client {
	t.Helper()
	client, err := Connect(context.Background(), address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
