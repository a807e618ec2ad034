package helm

import (
	_ "github.com/helm-unittest/helm-unittest/pkg/unittest"
	_ "github.com/norwoodj/helm-docs/pkg/document"
	_ "github.com/norwoodj/helm-docs/pkg/helm"
	_ "github.com/yannh/kubeconform/pkg/validator"
	_ "helm.sh/helm/v3/pkg/engine"
	_ "helm.sh/helm/v3/pkg/lint"
	_ "k8s.io/client-go/kubernetes/scheme"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	_ "sigs.k8s.io/gateway-api/apis/v1"
)
