#!/bin/sh
# Installs what the tests need, runs every layer, and ends with one line of counts.
set -eu
cd "$(dirname "$0")/.."
# What npm warns of is that some packages want a newer Node.js; they run in Bun.
[ -x node_modules/.bin/bun ] || npm ci --no-audit --no-fund --loglevel=error

# The judges of what kubestick writes; a layer whose judge is missing says that it was skipped.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  missing=""
  for pair in openssl:openssl kubectl:kubernetes-client containerd:containerd runc:runc etcd:etcd-server ip:iproute2 \
    nft:nftables iptables:iptables conntrack:conntrack mount:mount bridge:iproute2 skopeo:skopeo \
    docker-registry:docker-registry qemu-aarch64-static:qemu-user-static pgrep:procps curl:curl; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
  done
  [ -d /usr/lib/cni ] || missing="$missing containernetworking-plugins"
  ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"
  [ -d /usr/aarch64-linux-gnu ] || missing="$missing libc6-arm64-cross"
  if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # a list of package names
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing; } >/dev/null 2>&1 ||
      echo "could not install:$missing; tests that need them are skipped"
  fi
fi
exec node_modules/.bin/bun test/run.ts "$@"
