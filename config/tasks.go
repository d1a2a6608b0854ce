package config

import (
	"fmt"
	"time"
)

// Tasks bounds how much is under way at once, and how long it may take.
type Tasks struct {
	AtOnce    int           // from looking for a node to the end, of all accounts together
	OfAccount int           // the same, of one account
	Place     time.Duration // how long a task looks for a node before it fails
	Silence   time.Duration // how long an agent may give no sign before its attempt is lost
	Keep      time.Duration // how long a task is kept after its end
}

func (t Tasks) check() []Error {
	var wrong []Error
	if t.AtOnce < 1 {
		wrong = append(wrong, Error{"tasks.at_once", fmt.Sprintf("%d is less than 1", t.AtOnce)})
	}
	if t.OfAccount < 1 {
		wrong = append(wrong, Error{"tasks.of_account", fmt.Sprintf("%d is less than 1", t.OfAccount)})
	}
	if t.Place < time.Minute {
		wrong = append(wrong, Error{"tasks.place", fmt.Sprintf("%s is less than a minute", t.Place)})
	}
	if t.Silence < time.Minute {
		wrong = append(wrong, Error{"tasks.silence", fmt.Sprintf("%s is less than a minute: an agent that thinks would be taken for a dead one", t.Silence)})
	}
	if t.Keep < leastKeep {
		wrong = append(wrong, Error{"tasks.keep", fmt.Sprintf("%s is less than %s: what GitHub delivers late would find nothing", t.Keep, leastKeep)})
	}
	return wrong
}

// leastKeep is longer than GitHub's log of deliveries goes back, which SAM reads when Redis has lost data.
const leastKeep = 7 * 24 * time.Hour

// Blob says where what is too large for Redis is kept: in a directory, in a bucket of an S3, or, with neither, in Redis all
// the same.
type Blob struct {
	Dir string
	S3  S3
}

// S3 is a bucket of anything that speaks S3.
type S3 struct {
	Endpoint      string // https://host
	Region        string
	Bucket        string
	Prefix        string // before every key, with a slash at its end
	AccessKey     string
	SecretKeyFile string // one line
}

func (b Blob) check() []Error {
	var wrong []Error
	if b.S3 == (S3{}) {
		return nil
	}
	if b.Dir != "" {
		wrong = append(wrong, Error{"blob.dir", "is set and so is blob.s3: there can be one place only"})
	}
	if why := notAddress(b.S3.Endpoint); why != "" {
		wrong = append(wrong, Error{"blob.s3.endpoint", why})
	}
	for _, one := range []struct{ key, value string }{
		{"blob.s3.bucket", b.S3.Bucket}, {"blob.s3.access_key", b.S3.AccessKey}, {"blob.s3.secret_key_file", b.S3.SecretKeyFile},
	} {
		if one.value == "" {
			wrong = append(wrong, Error{one.key, "is missing"})
		}
	}
	return wrong
}
