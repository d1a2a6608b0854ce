package cloud

// Pick finds the first of the candidates that is to be had, else the first that is offered, and the price of an hour of the dearest that is
// offered: which one it will be is known when it is made. NoCandidateError when none of them is offered.
func Pick(candidates []Candidate, offers []Offer) (first Offer, dearest Money, err error) {
	var absent []Refusal
	found := false
	for _, wanted := range candidates {
		is := false
		for _, o := range offers {
			if o.Candidate != wanted {
				continue
			}
			if !found || o.Sold && !first.Sold {
				first = o
			}
			is, found, dearest = true, true, max(dearest, o.Hour)
		}
		if !is {
			absent = append(absent, Refusal{Candidate: wanted, Why: "Hetzner does not offer it"})
		}
	}
	if !found {
		return first, 0, NoCandidateError{Tried: absent}
	}
	return first, dearest, nil
}
