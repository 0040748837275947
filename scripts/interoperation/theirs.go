package main

import "context"

func (w *world) onTheirs(context.Context) error { return nil }
func (w *world) contract(context.Context) error { return nil }
func (w *world) stopTheirs()                    {}
