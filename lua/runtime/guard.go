package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// maxHeap bounds what the program may hold while Lua code runs. gopher-lua does
// not account for memory, so the whole program's heap is measured; what the
// engine itself needs is a few megabytes of it.
var maxHeap uint64 = 512 << 20

// guardEvery is the pause between two looks: a table that grows as fast as it
// can gains a few megabytes in it.
const guardEvery = 20 * time.Millisecond

// guard ends the Lua code that runs when the heap grows past maxHeap. One
// goroutine looks for a whole state, and only while something is in Do.
type guard struct {
	running atomic.Pointer[context.CancelCauseFunc] // of the code that holds the lock
	mu      sync.Mutex
	inside  int // calls of Do that have not ended
	stop    chan struct{}
}

func (g *guard) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside++; g.inside == 1 {
		if heap() >= maxHeap { // what ran before left it
			goruntime.GC()
		}
		g.stop = make(chan struct{})
		go g.watch(g.stop)
	}
}

func (g *guard) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 {
		close(g.stop)
	}
}

func (g *guard) watch(stop chan struct{}) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	ended := false
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		cancel := g.running.Load()
		if cancel == nil || heap() < maxHeap {
			continue
		}
		// Most of it may be garbage; far above the bound there is no time to look,
		// unless it may be that of code which was ended.
		if ended || heap() < 2*maxHeap {
			goruntime.GC()
		}
		if heap() >= maxHeap && g.running.Load() == cancel { // another's turn is not its fault
			ended = true
			(*cancel)(fmt.Errorf("the recipe uses more than %d MB of memory", maxHeap>>20))
		}
	}
}

// heap is what objects take, live ones and those not yet collected.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
