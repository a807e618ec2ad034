// Package cluster tries the chart in helm/ on a real Kubernetes API server with its
// scheduler and controllers: what it refuses or warns of, where pods land, and what an
// operator sees in an upgrade, a rollback and an uninstall. Nodes and kubelets are
// kwok's: no container runs, a pod is ready as soon as it has a node.
//
// `make cluster-test` runs it. Its files have the build tag cluster, so that the other
// targets neither compile nor download Kubernetes.
package cluster
