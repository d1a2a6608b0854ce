package hetzner

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	usualPage = 25
	fullPage  = 50
	// fresh is how long after its making a list may not have something yet.
	fresh = 10 * time.Second
)

// listed is what a list needs to know of a thing.
type listed struct {
	id      int64
	name    string
	labels  map[string]string
	created time.Time
	status  string
	more    map[string]string // further fields that the list filters by
}

// list answers with what matches the query's filters, sorted, one page of it.
// filters are the fields that this list filters by, of name, status and those in
// listed.more.
func list[T, R any](c *call, key string, all map[int64]*T, of func(*T) listed, render func(*T) R, filters ...string) (reply, error) {
	query := c.r.URL.Query()
	picks, err := parseSelector(query.Get("label_selector"))
	if err != nil {
		return reply{}, invalid("label_selector", err.Error())
	}
	var found []*T
	for _, id := range slices.Sorted(maps.Keys(all)) {
		one := of(all[id])
		if c.stale && c.s.now().Sub(one.created) < fresh {
			c.s.dice.Hit(StaleList)
			continue
		}
		if picks.match(one.labels) && one.passes(query, filters) {
			found = append(found, all[id])
		}
	}
	if err := sortBy(found, of, query["sort"]); err != nil {
		return reply{}, err
	}
	return paged(c, key, found, render)
}

func (l listed) passes(query url.Values, filters []string) bool {
	for _, field := range filters {
		wanted := query[field]
		have := l.more[field]
		switch field {
		case "name":
			have = l.name
		case "status":
			have = l.status
		case "id":
			have = strconv.FormatInt(l.id, 10)
		}
		if len(wanted) > 0 && !slices.Contains(wanted, have) {
			return false
		}
	}
	return true
}

// sortBy sorts by the query's fields: id, name, created, status, each with :asc or
// :desc.
func sortBy[T any](found []*T, of func(*T) listed, by []string) error {
	for _, field := range slices.Backward(by) { // the first field counts most, so it comes last
		field, direction, _ := strings.Cut(field, ":")
		compare := map[string]func(a, b listed) int{
			"id":      func(a, b listed) int { return cmp.Compare(a.id, b.id) },
			"name":    func(a, b listed) int { return cmp.Compare(a.name, b.name) },
			"created": func(a, b listed) int { return a.created.Compare(b.created) },
			"status":  func(a, b listed) int { return cmp.Compare(a.status, b.status) },
		}[field]
		if compare == nil || (direction != "" && direction != "asc" && direction != "desc") {
			return invalid("sort", "is not a field to sort by")
		}
		slices.SortStableFunc(found, func(a, b *T) int {
			if direction == "desc" {
				a, b = b, a
			}
			return compare(of(a), of(b))
		})
	}
	return nil
}

// paged answers with one page: 25 entries unless asked for another number, 50 at
// most.
func paged[T, R any](c *call, key string, found []*T, render func(*T) R) (reply, error) {
	query := c.r.URL.Query()
	page, err := natural(query, "page", 1)
	if err != nil {
		return reply{}, err
	}
	per, err := natural(query, "per_page", usualPage)
	if err != nil {
		return reply{}, err
	}
	per = min(per, fullPage)
	last := max(1, (len(found)+per-1)/per)
	from := min((page-1)*per, len(found))
	entries := []R{}
	for _, one := range found[from:min(from+per, len(found))] {
		entries = append(entries, render(one))
	}
	meta := object{
		"page": page, "per_page": per, "previous_page": nil, "next_page": nil, "last_page": last, "total_entries": len(found),
	}
	link := func(rel string, to int) {
		query.Set("page", strconv.Itoa(to))
		c.links = append(c.links, fmt.Sprintf("<http://%s%s?%s>; rel=%q", c.r.Host, c.r.URL.Path, query.Encode(), rel))
	}
	if page > 1 {
		meta["previous_page"] = page - 1
		link("prev", page-1)
	}
	if page < last {
		meta["next_page"] = page + 1
		link("next", page+1)
	}
	link("last", last)
	return ok(object{key: entries, "meta": object{"pagination": meta}}), nil
}

// natural reads a number from 1 to a million out of the query. What is below 1
// stands for the usual, as clients that ask for none send -1.
func natural(query url.Values, name string, usual int) (int, error) {
	text := query.Get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n > 1_000_000 {
		return 0, invalid(name, "must be a number")
	}
	if n < 1 {
		return usual, nil
	}
	return n, nil
}
