package dashboard

import (
	"context"
	"errors"
)

// The names of the messages.
const (
	messageEntry  = "entry"
	messageStatus = "status"
	messageReset  = "reset"
)

// message is one thing to tell a viewer, and how far it has then come.
type message struct {
	name   string
	topic  topic
	data   []byte
	vector string
}

// viewer is one page that looks at some topics, with how far it has come in each. It is used by one goroutine.
type viewer struct {
	hub     *hub
	signal  chan struct{} // holds one when a feed of its has something new
	topics  []topic
	feeds   []*feed
	vector  vector
	told    []int  // the version of each topic's status that it has
	checked []bool // the topic's position was found to be one of the store's: it may be from before a restart
	behind  bool   // the last take read the store, and there may be more
}

func (v *viewer) leave() { v.hub.leave(v) }

// take returns what is new, nothing when nothing is. What a feed no longer holds it reads from the store. After a reset no
// more comes of that topic.
func (v *viewer) take(ctx context.Context) ([]message, error) {
	var all []message
	v.behind = false
	for i, t := range v.topics {
		f := v.feeds[i]
		if f == nil {
			continue
		}
		items, held := f.after(v.vector[t])
		if !held || !v.checked[i] {
			var err error
			items, err = f.source.read(ctx, v.vector[t], readItems)
			if errors.Is(err, errGone) {
				all = append(all, message{name: messageReset, topic: t, vector: v.vector.format(v.topics)})
				v.forget(i)
				continue
			}
			if err != nil {
				return all, err
			}
			v.checked[i] = true
			v.behind = v.behind || len(items) > 0
		}
		for _, one := range items {
			v.vector[t] = one.at
			all = append(all, message{messageEntry, t, one.data, v.vector.format(v.topics)})
		}
		var status []byte
		if status, v.told[i] = f.newer(v.told[i]); status != nil {
			all = append(all, message{messageStatus, t, status, v.vector.format(v.topics)})
		}
	}
	return all, nil
}

// forget takes no more of a topic.
func (v *viewer) forget(i int) {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	v.hub.part(v, i)
}
