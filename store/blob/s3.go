package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// callTimeout bounds one call of S3.
const callTimeout = 30 * time.Second

// S3Options say which bucket, where, and who asks.
type S3Options struct {
	Endpoint  string // https://host[:port]; http:// is taken as it is said
	Region    string // empty: the endpoint's own default
	Bucket    string
	Prefix    string // put before every key; empty, or parts of a key that end in a slash
	AccessKey string
	SecretKey string
	Transport http.RoundTripper // nil: the library's
}

// S3 keeps objects in one bucket of anything that speaks S3.
type S3 struct {
	client *minio.Client
	bucket string
	prefix string
}

// OpenS3 makes a client and checks that the bucket is there and may be read. It does not make buckets.
func OpenS3(ctx context.Context, o S3Options) (*S3, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("%q is not the address of an S3: https://host", o.Endpoint)
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""),
		Secure: u.Scheme == "https", Region: o.Region, Transport: o.Transport,
	})
	if err != nil {
		return nil, fmt.Errorf("make a client for the S3 at %s: %w", o.Endpoint, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	there, err := client.BucketExists(ctx, o.Bucket)
	if err != nil {
		return nil, fmt.Errorf("look for bucket %s at %s (are the keys right, and may they list it?): %w", o.Bucket, o.Endpoint, err)
	}
	if !there {
		return nil, fmt.Errorf("there is no bucket %s at %s: make it, or name another", o.Bucket, o.Endpoint)
	}
	return &S3{client, o.Bucket, o.Prefix}, nil
}

// Put implements Store.
func (s *S3) Put(ctx context.Context, key string, data []byte) error {
	if err := check(key, len(data)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := s.client.PutObject(ctx, s.bucket, s.prefix+key, bytes.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true})
	if err != nil {
		return fmt.Errorf("keep object %s in bucket %s: %w", key, s.bucket, err)
	}
	return nil
}

// Get implements Store.
func (s *S3) Get(ctx context.Context, key string) (_ []byte, err error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object, err := s.client.GetObject(ctx, s.bucket, s.prefix+key, minio.GetObjectOptions{})
	if err != nil {
		return nil, s.readError(key, err)
	}
	defer func() { err = errors.Join(err, object.Close()) }()
	data, err := io.ReadAll(io.LimitReader(object, MaxObject+1))
	if err != nil {
		return nil, s.readError(key, err)
	}
	return data, check(key, len(data))
}

func (s *S3) readError(key string, err error) error {
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return fmt.Errorf("object %s in bucket %s: %w", key, s.bucket, ErrNotFound)
	}
	return fmt.Errorf("read object %s of bucket %s: %w", key, s.bucket, err)
}

// Delete implements Store.
func (s *S3) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := s.client.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("delete object %s of bucket %s: %w", key, s.bucket, err)
	}
	return nil
}
