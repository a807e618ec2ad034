{{/* Names. A component's object is <fullname>-<component>. */}}
{{- define "parley.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "parley.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "parley.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* parley.component: (dict "root" $ "component" "gateway") → <fullname>-gateway. A name
     too long for Kubernetes ends with a hash in place of its rest, so that two kiosks
     never share one. */}}
{{- define "parley.component" -}}
{{- $name := printf "%s-%s" (include "parley.fullname" .root) .component }}
{{- if gt (len $name) 63 }}
{{- $name = printf "%s-%s" ($name | trunc 54 | trimSuffix "-") (sha256sum $name | trunc 8) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* parley.host: the DNS name of a component's Service */}}
{{- define "parley.host" -}}
{{- printf "%s.%s.svc.%s" (include "parley.component" .) .root.Release.Namespace .root.Values.clusterDomain }}
{{- end }}

{{/* Labels: (dict "root" $ "component" "gateway"). Selectors never change. */}}
{{- define "parley.selectorLabels" -}}
app.kubernetes.io/name: {{ include "parley.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "parley.labels" -}}
{{ include "parley.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: parley
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* parley.annotations: (dict "root" $ "extra" dict) → "annotations: …", or nothing */}}
{{- define "parley.annotations" -}}
{{- with mergeOverwrite (dict) (.root.Values.commonAnnotations | default dict) (.extra | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* parley.image: (dict "root" $ "image" .Values.image "tag" "default tag") */}}
{{- define "parley.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry }}
{{- $name := .image.repository }}
{{- if $registry }}{{ $name = printf "%s/%s" $registry .image.repository }}{{ end }}
{{- if .image.digest }}
{{- printf "%s@%s" $name .image.digest }}
{{- else }}
{{- printf "%s:%s" $name (.image.tag | default .tag | default .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "parley.imagePullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "parley.storageClass" -}}
{{- with (.own | default .root.Values.global.storageClass) }}
storageClassName: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The Secret with Parley's own secrets. */}}
{{- define "parley.secretName" -}}
{{- if or .Values.secrets.generate .Values.externalSecrets.enabled }}
{{- include "parley.component" (dict "root" . "component" "secrets") }}
{{- else }}
{{- .Values.secrets.existingSecret }}
{{- end }}
{{- end }}

{{- define "parley.serviceAccountName" -}}
{{- if .root.Values.serviceAccount.create }}
{{- include "parley.component" . }}
{{- else }}
{{- .root.Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Addresses of the servers that Parley uses: one place for ConfigMap, Jobs and NetworkPolicies. */}}
{{- define "parley.temporalAddress" -}}
{{- if .Values.temporal.devServer.enabled }}
{{- printf "%s:7233" (include "parley.host" (dict "root" . "component" "temporal")) }}
{{- else }}
{{- .Values.temporal.address }}
{{- end }}
{{- end }}

{{- define "parley.speechURL" -}}
{{- if .Values.speaches.enabled }}
{{- printf "http://%s:8000" (include "parley.host" (dict "root" . "component" "speaches")) }}
{{- else if .Values.embeddedSpeech.enabled }}
{{- printf "http://%s:8100" (include "parley.host" (dict "root" . "component" "speech")) }}
{{- else }}
{{- .Values.speaches.url }}
{{- end }}
{{- end }}

{{- define "parley.ollamaURL" -}}
{{- if .Values.ollama.enabled }}
{{- printf "http://%s:11434" (include "parley.host" (dict "root" . "component" "ollama")) }}
{{- else }}
{{- .Values.ollama.url }}
{{- end }}
{{- end }}

{{- define "parley.qdrantAddress" -}}
{{- if .Values.qdrant.enabled }}
{{- printf "%s:6334" (include "parley.host" (dict "root" . "component" "qdrant")) }}
{{- else }}
{{- .Values.qdrant.address }}
{{- end }}
{{- end }}

{{/* parley.placement: nodeSelector, tolerations, affinity, priority, runtime class of a pod:
     (dict "root" $ "part" <values of the part>); part.gpu is optional. */}}
{{- define "parley.placement" -}}
{{- $gpu := and .part.gpu .part.gpu.enabled }}
{{- $selector := mergeOverwrite (dict) (.root.Values.placement.nodeSelector | default dict) (ternary (.part.gpu | default dict).nodeSelector nil (not (not $gpu)) | default dict) (.part.nodeSelector | default dict) }}
{{- with $selector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := concat (.root.Values.placement.tolerations | default list) (ternary (.part.gpu | default dict).tolerations nil (not (not $gpu)) | default list) (.part.tolerations | default list) }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.priorityClassName | default .root.Values.placement.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $gpu }}
{{- with .part.gpu.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .part.gpu.claimName }}
resourceClaims:
  - name: gpu
    resourceClaimName: {{ . }}
{{- else with .part.gpu.claimTemplate }}
resourceClaims:
  - name: gpu
    resourceClaimTemplateName: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* parley.resources: a container's resources, with its GPUs: (dict "part" …) */}}
{{- define "parley.resources" -}}
{{- $r := deepCopy (.part.resources | default dict) }}
{{- if and .part.gpu .part.gpu.enabled (or .part.gpu.claimName .part.gpu.claimTemplate) }}
{{- $_ := set $r "claims" (list (dict "name" "gpu")) }}
{{- else if and .part.gpu .part.gpu.enabled (gt (int .part.gpu.count) 0) }}
{{- $limits := get $r "limits" | default dict }}
{{- $_ := set $limits .part.gpu.resourceName (int .part.gpu.count) }}
{{- $_ := set $r "limits" $limits }}
{{- end }}
{{- toYaml $r }}
{{- end }}

{{/* parley.strategy: GPU pods never surge, as all GPUs may be taken, nor do those with
     a volume, which is one pod's; the others do. */}}
{{- define "parley.strategy" -}}
{{- $gpu := and .part.gpu .part.gpu.enabled (or .part.gpu.claimName .part.gpu.claimTemplate (gt (int .part.gpu.count) 0)) }}
{{- $volume := and .part.persistence .part.persistence.enabled -}}
type: RollingUpdate
rollingUpdate:
{{- if or $gpu $volume }}
  maxSurge: 0
  maxUnavailable: 1
{{- else }}
  maxSurge: 1
  maxUnavailable: 0
{{- end }}
{{- end }}

{{/* parley.olderThan: (dict "root" $ "version" "1.30") → the version of Kubernetes, when it
     is older. 1.20.0 is what a helm says that was built without any, and renders without a
     cluster: it tells nothing. That is why Chart.yaml has no kubeVersion. */}}
{{- define "parley.olderThan" -}}
{{- $kube := .root.Capabilities.KubeVersion.Version }}
{{- if and (ne $kube "v1.20.0") (semverCompare (printf "<%s.0-0" .version) $kube) }}{{ $kube }}{{ end }}
{{- end }}
