package app

import (
	"context"
	"io"
	"net/http"

	"sam/config"
	"sam/store/blob"
)

// openBlobs opens the place for what is too large for Redis, as the configuration says; nil where there is none. A closer that
// comes with it is to be closed behind it.
func openBlobs(ctx context.Context, c config.Blob, outbound http.RoundTripper) (blob.Store, io.Closer, error) {
	switch {
	case c.Dir != "":
		dir, err := blob.OpenDir(c.Dir)
		if err != nil {
			return nil, nil, config.Error{Key: "blob.dir", Why: err.Error()}
		}
		return dir, dir, nil
	case c.S3.Endpoint != "":
		secret, err := config.Secret("blob.s3.secret_key_file", c.S3.SecretKeyFile)
		if err != nil {
			return nil, nil, err
		}
		s3, err := blob.OpenS3(ctx, blob.S3Options{
			Endpoint: c.S3.Endpoint, Region: c.S3.Region, Bucket: c.S3.Bucket, Prefix: c.S3.Prefix,
			AccessKey: c.S3.AccessKey, SecretKey: secret, Transport: outbound,
		})
		if err != nil {
			return nil, nil, config.Error{Key: "blob.s3", Why: err.Error()}
		}
		return s3, nil, nil
	default:
		return nil, nil, nil
	}
}
