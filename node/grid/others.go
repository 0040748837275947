package grid

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"lafs/shares/storage"
)

const (
	// A server at which somebody else is uploading the same shares is asked
	// again after othersFirst, and then after twice as long each time up to
	// othersMost, with up to half as much again at random.
	othersFirst, othersMost = 2 * time.Second, 30 * time.Second
	// othersPatience is how long in all, beside the time that a share takes
	// at othersPace, in bytes a second. Servers drop an upload that has
	// stopped after 30 minutes.
	othersPatience, othersLongest = 2 * time.Minute, 30 * time.Minute
	othersPace                    = 32 << 10
)

// patience is how long this upload waits for others of the same file.
func (u *upload) patience() time.Duration {
	return min(othersPatience+time.Duration(u.shareSize/othersPace)*time.Second, othersLongest)
}

// othersAtWork reports whether some server refused shares though it has room
// for them: then somebody else is uploading them there, and they will soon be
// found. It costs a trip the first time.
func (u *upload) othersAtWork(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var questions sync.WaitGroup
	for _, c := range u.cands[:u.asked] {
		if len(c.refused) == 0 || c.roomAsked || c.failures >= giveUpAfter {
			continue
		}
		c.roomAsked = true
		questions.Go(func() {
			v, err := c.server.Storage.Version(ctx)
			c.room = err == nil && v.AvailableSpace/uint64(len(c.refused)) >= uint64(u.shareSize)
		})
	}
	questions.Wait()
	for _, c := range u.cands[:u.asked] {
		if c.busy() {
			return true
		}
	}
	return false
}

// busy reports whether somebody else is uploading this file there.
func (c *candidate) busy() bool {
	return len(c.refused) > 0 && c.room && c.failures < giveUpAfter
}

// askOthers waits a while and asks the busy servers again. It reports whether
// there was patience left for that. Two uploads do not wait for each other:
// each has first sent what it could.
func (u *upload) askOthers(ctx context.Context) (bool, error) {
	delay := min(othersFirst<<min(u.waits, 10), othersMost)
	delay += rand.N(delay / 2)
	if u.waited+delay > u.patience() {
		return false, nil
	}
	u.g.cfg.Log.Info("another upload of the same file is under way; asking again", "file", u.si, "after", delay)
	u.waits++
	u.waited += delay
	if u.beforeWait != nil {
		u.beforeWait()
	}
	if !pause(ctx, delay) {
		return false, ctx.Err()
	}
	questions := make(map[int][]storage.ShareNumber)
	for i, c := range u.cands[:u.asked] {
		if c.busy() {
			questions[i] = c.refused
		}
	}
	return true, u.ask(ctx, questions)
}
