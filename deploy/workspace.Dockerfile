# The image of workspaces, for those who have a registry. scripts/image makes the
# same from Debian's packages alone.
#
#   docker build -t registry.example.com/sam-workspace:1 -f deploy/workspace.Dockerfile deploy
#
# Then name it in the node's configuration. Any image will do that has git and a
# shell; nothing in it needs root, for nothing in a workspace gets it.
FROM golang:1.26-bookworm AS go

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
    git ca-certificates curl less ripgrep jq make patch procps python3 python3-pip python3-venv unzip xz-utils \
 && rm -rf /var/lib/apt/lists/*
COPY --from=go /usr/local/go /usr/local/go
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    GOCACHE=/var/cache/go-build \
    CGO_ENABLED=0
# The number matters: sam node gives the working tree to 1000.
RUN useradd --uid 1000 --create-home --shell /bin/bash sam \
 && install -d -o sam -g sam /var/cache/go-build
USER 1000
# A warm build cache: a workspace's first test does not compile the standard library.
# A project's own user, of another number, builds here too.
RUN go build net/http/... encoding/json log/slog testing \
 && chmod -R a+rwX /var/cache/go-build
CMD ["/bin/bash"]
