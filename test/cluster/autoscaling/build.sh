#!/bin/sh
# Builds the control plane from Go modules, into the folder given: etcd, the API server, the controller manager with its
# HPA, the scheduler, KEDA's operator and metrics server, kwok; beside them KEDA's CRDs, as one file.
#
#   nice sh test/cluster/autoscaling/build.sh /tmp/control-plane
#
# Needs Go 1.26, a kubectl of 1.27 or newer, 12 GB of disk, and half an hour on two cores.
set -eu
bin=$(mkdir -p "$1" && cd "$1" && pwd)
kubernetes=1.36.3
keda=2.21.0
etcd=3.6.8
kwok=0.8.0
export GOFLAGS='-buildvcs=false -mod=mod'

module() { # name: an empty module, which takes the versions of what is built in it
  mkdir -p "$bin/build/$1" && cd "$bin/build/$1"
  test -f go.mod || go mod init "build/$1"
}
build() { # output packages
  output=$bin/$1 && shift
  go build -trimpath -ldflags '-s -w' -o "$output" "$@"
}

module etcd
go get "go.etcd.io/etcd/server/v3@v$etcd"
build etcd go.etcd.io/etcd/server/v3

# What Kubernetes keeps in one repository is published under versions of its own: 0.36 for 1.36.
module kubernetes
go mod download "k8s.io/kubernetes@v$kubernetes"
sources=$(go env GOMODCACHE)/k8s.io/kubernetes@v$kubernetes
cp "$sources/go.sum" go.sum && chmod u+w go.sum
sed -n 's#^\t\(k8s.io/[^ ]*\) => ./staging.*#\1#p' "$sources/go.mod" | while read -r part; do
  go mod edit -replace "$part=$part@v0${kubernetes#1}"
done
go mod edit -require "k8s.io/kubernetes@v$kubernetes" -godebug default=go1.26
build . k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kube-scheduler

module kwok
go get "sigs.k8s.io/kwok@v$kwok"
build kwok sigs.k8s.io/kwok/cmd/kwok

# KEDA's own module, whose replacements count nowhere else, with one scaler of its seventy: the one that k8s/ uses. The
# others bring half of all packages that would have to be compiled, and nothing that would run.
go mod download "github.com/kedacore/keda/v2@v$keda"
sources=$(go env GOMODCACHE)/github.com/kedacore/keda/v2@v$keda
rm -rf "$bin/build/keda" && mkdir -p "$bin/build/keda" && cd "$bin/build/keda"
for part in go.mod go.sum apis cmd controllers pkg version; do cp -r "$sources/$part" .; done
chmod -R u+w .
find pkg/scalers -maxdepth 1 -name '*.go' ! -name scaler.go ! -name metrics_api_scaler.go -delete
# Declared in one of the others.
printf 'package scalers\n\nconst externalMetricType = "External"\n' > pkg/scalers/metric_type.go
builder=pkg/scaling/scalers_builder.go
awk '/^\tcase "/ { kept = /"metrics-api"/ } /^\tdefault:/ { kept = 1 } /^func buildScaler\(/ { inside = kept = 1 } !inside || kept' \
  "$sources/$builder" > "$builder"
build keda-operator ./cmd/operator
build keda-metrics-apiserver ./cmd/adapter
kubectl kustomize "$sources/config/crd" > "$bin/keda-crds.yaml"
