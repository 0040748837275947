package main

import "os"

// keepOutputPrivate takes a file that the shell has just made for caps and
// other secrets, as in `lafs put FILE > FILE.cap`, away from the other users
// of this machine: shells make files that all can read. One that has content
// already stays as somebody made it. It comes before anything is asked of the
// node, and still cannot help against who opened the file in between: umask
// 077 can.
func (a *app) keepOutputPrivate() {
	f, ok := a.stdout.(*os.File)
	if !ok {
		return
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() > 0 || st.Mode().Perm()&0o077 == 0 {
		return
	}
	_ = f.Chmod(st.Mode().Perm() &^ 0o077) // not ours: its owner sees to it
}
