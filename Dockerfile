FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The context holds no .git, so the version is handed in:
# docker build --build-arg VERSION=$(git describe --tags --always) .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X sam/app.version=${VERSION}" -o /out/sam .

FROM debian:bookworm-slim
# git serves the branches; the certificates are for GitHub and the cloud.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/*
# A number as well as a name: Kubernetes' runAsNonRoot looks at the number.
RUN useradd --system --uid 10001 --home-dir /var/lib/sam --create-home sam
COPY --from=build /out/sam /usr/local/bin/sam
USER 10001
WORKDIR /var/lib/sam
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/sam"]
CMD ["serve"]
