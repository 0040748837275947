package node

import (
	"net/http"
	"runtime"
	"strings"
)

// handler counts the requests under way, and turns a panic into the end of
// that one request. It logs the names of functions alone: arguments may be
// secret.
func (n *Node) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.handlers.Add(1)
		defer n.handlers.Done()
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p != http.ErrAbortHandler {
				n.log.Error("internal error; please report it", "functions", callers())
			}
			panic(http.ErrAbortHandler)
		}()
		h.ServeHTTP(w, r)
	})
}

// callers names the functions below a panic that is being recovered, newest
// first, and nothing of what they were called with.
func callers() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var names []string
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			names = append(names, f.Function)
		}
		if !more || len(names) == 8 {
			return strings.Join(names, " < ")
		}
	}
}
