package wire

import "net/url"

// RefusedHeader is a header or a trailer of a broker's answer: what was asked was refused for what it is, see Refused. The
// node takes it off and tells the task's page.
const RefusedHeader = "Sam-Refused"

// Refused says what was refused.
type Refused struct {
	Code    string `json:"code"`              // a notice's: push_refused, model_refused
	Subject string `json:"subject,omitempty"` // what was refused, as a person would allow it: a branch, a kind of tool
	Text    string `json:"text"`              // what, why, and what to do
}

// Header is it as the value of a header, of whatever its texts consist.
func (r Refused) Header() string {
	return url.Values{"code": {r.Code}, "subject": {r.Subject}, "text": {r.Text}}.Encode()
}

// ParseRefused reads a header's value; false for what is none.
func ParseRefused(value string) (Refused, bool) {
	v, err := url.ParseQuery(value)
	r := Refused{v.Get("code"), v.Get("subject"), v.Get("text")}
	return r, err == nil && r.Code != "" && r.Text != ""
}
