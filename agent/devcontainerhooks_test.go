package agent

import "testing"

func TestWhatACommandLeavesRunningIsReachedByTheAgentAtLocalhost(t *testing.T) {
	t.Parallel()
	e := docker(t)
	f := e.repository(t, map[string]string{
		".devcontainer.json": `{"image": "` + DefaultImage + `", "postStartCommand": "python3 database.py >/tmp/log 2>&1 &"}`,
		"database.py":        "import socket\ns = socket.create_server((\"127.0.0.1\", 5432))\nwhile True:\n    c, _ = s.accept()\n    c.sendall(b\"ready\")\n    c.close()\n",
	}, `for i in $(seq 100); do
	python3 -c 'import socket; print(socket.create_connection(("localhost", 5432)).recv(9).decode())' 2>/dev/null && exit; sleep 0.1
done; cat /tmp/log; exit 1`).work().done(t)
	if f.said != "ready\n" {
		t.Errorf("it said %q, and was told %q", f.said, f.notices())
	}
}
