{{/* What pods have in common. */}}

{{/* parley.podBasics: the fields of every pod's spec before its containers:
     (dict "root" $ "component" "qdrant" "part" <its values>). A part's own
     podSecurityContext says where it differs, such as an image's fixed user. */}}
{{- define "parley.podBasics" -}}
serviceAccountName: {{ include "parley.serviceAccountName" (dict "root" .root "component" .component) }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "parley.imagePullSecrets" .root }}
securityContext:
  {{- toYaml (mergeOverwrite (deepCopy .root.Values.podSecurityContext) (.part.podSecurityContext | default dict)) | nindent 2 }}
{{- include "parley.placement" (dict "root" .root "part" .part) }}
{{- end }}

{{/* parley.containerSecurity: (dict "root" $ "part" <its values>) */}}
{{- define "parley.containerSecurity" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.containerSecurityContext) (.part.containerSecurityContext | default dict)) }}
{{- end }}

{{/* parley.metadata: an object's name, labels and annotations:
     (dict "root" $ "component" "gateway"), with `name` where it is not the
     component's and `annotations` of its own. */}}
{{- define "parley.metadata" -}}
name: {{ .name | default (include "parley.component" .) }}
labels:
  {{- include "parley.labels" . | nindent 2 }}
{{- include "parley.annotations" (dict "root" .root "extra" .annotations) }}
{{- end }}

{{/* parley.podMetadata: labels and annotations of a pod template, without the
     chart's version, so that a new chart restarts only what it changes:
     (dict "root" $ "component" "qdrant" "part" <its values> "annotations" dict) */}}
{{- define "parley.podMetadata" -}}
labels:
  {{- include "parley.selectorLabels" . | nindent 2 }}
  app.kubernetes.io/part-of: parley
  {{- with merge (dict) (.part.podLabels | default dict) .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "parley.annotations" (dict "root" .root "extra" (merge (dict) (.part.podAnnotations | default dict) (.annotations | default dict))) }}
{{- end }}

{{/* parley.spread: over nodes, where there are several */}}
{{- define "parley.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "parley.selectorLabels" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}

{{/* parley.serviceAccount: an account without rights for one component */}}
{{- define "parley.serviceAccount" -}}
{{- if .root.Values.serviceAccount.create }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "parley.metadata" (dict "root" .root "component" .component "annotations" .root.Values.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: false
{{- end }}
{{- end }}

{{/* parley.pdb: (dict "root" $ "component" … "part" …) */}}
{{- define "parley.pdb" -}}
{{- if .part.pdb.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "parley.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .part.pdb.maxUnavailable }}
  {{- /* A pod that is not well anyway does not keep a node from being drained. */}}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "parley.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* parley.claim: a claim for a component's data, unless it has one:
     (dict "root" $ "component" "ollama" "persistence" …) */}}
{{- define "parley.claim" -}}
{{- if and .persistence.enabled (not .persistence.existingClaim) }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- /* What was downloaded or learned outlives a helm uninstall. */}}
  {{- include "parley.metadata" (dict "root" .root "component" .component "annotations" (dict "helm.sh/resource-policy" "keep")) | nindent 2 }}
spec:
  accessModes: {{ .persistence.accessModes | default (list "ReadWriteOnce") | toJson }}
  {{- with .persistence.storageClass | default .root.Values.global.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .persistence.size }}
{{- end }}
{{- end }}

{{/* parley.claimVolume: that claim as the volume `data`, or an emptyDir */}}
{{- define "parley.claimVolume" -}}
- name: data
  {{- if .persistence.enabled }}
  persistentVolumeClaim:
    claimName: {{ .persistence.existingClaim | default (include "parley.component" .) }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .persistence.size }}
  {{- end }}
{{- end }}

{{/* parley.ownPod: the template of a pod that runs Parley itself.
       root, component
       part         its values: resources, gpu, config, extraEnv, …
       args         of the command: (list "gateway")
       settings     that it has alone, by name; part.config goes before them
       secrets      settings that it needs of the Secret
       store        whether it reads the store's folder
       actions      whether it needs the secrets of the action catalogue
       ports        name → port
       ready        path of its readiness probe; empty: a job
       grace        seconds; preStop: seconds, 0 for none
       restart      restartPolicy of a job */}}
{{- define "parley.ownPod" -}}
{{- $root := .root }}
{{- $settings := dict "config" "/etc/parley/parley.yaml" }}
{{- $secrets := include "parley.secretKeys" (dict "root" .root "keys" .secrets) | fromYamlArray }}
{{- range $secrets }}
{{- $_ := set $settings (printf "%s_file" .) (printf "/etc/parley/secrets/%s" .) }}
{{- end }}
{{- $actions := and .actions $root.Values.secrets.actions.existingSecret }}
{{- if $actions }}
{{- $_ := set $settings "secrets" "/etc/parley/actions" }}
{{- end }}
{{- $settings = mergeOverwrite $settings (.settings | default dict) (.part.config | default dict) }}
{{- $tls := and $root.Values.temporal.tls.enabled $root.Values.temporal.tls.existingSecret (not $root.Values.temporal.devServer.enabled) (ne .component "codec") (ne .component "knowledge") }}
{{- $annotations := dict }}
{{- if not .restart }}
{{- $_ := set $annotations "checksum/config" (include "parley.configChecksum" $root) }}
{{- end -}}
metadata:
  {{- include "parley.podMetadata" (dict "root" .root "component" .component "part" .part "annotations" $annotations) | nindent 2 }}
spec:
  {{- include "parley.podBasics" . | nindent 2 }}
  {{- if .part.topologySpread }}
  {{- include "parley.spread" . | nindent 2 }}
  {{- end }}
  {{- with .restart }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .grace }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- if and .store (eq $root.Values.store.source "image") $root.Values.store.image.copy }}
  initContainers:
    {{- include "parley.storeCopy" $root | nindent 4 }}
  {{- end }}
  containers:
    - name: parley
      image: {{ include "parley.image" (dict "root" $root "image" $root.Values.image) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      env:
        {{- if hasKey .ports "media" }}
        - name: POD_IP
          valueFrom: {fieldRef: {fieldPath: status.podIP}}
        {{- end }}
        {{- range $key, $value := $settings }}
        - name: PARLEY_{{ upper $key }}
          value: {{ include "parley.setting" $value | quote }}
        {{- end }}
        {{- with .part.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .ports }}
      ports:
        {{- range $name, $port := . }}
        - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
        {{- end }}
      {{- end }}
      {{- if .ready }}
      {{- $port := ternary "http" "metrics" (hasKey .ports "http") }}
      startupProbe:
        httpGet: {path: /health, port: {{ $port }}}
        periodSeconds: 2
        failureThreshold: 90
      readinessProbe:
        httpGet: {path: {{ .ready }}, port: {{ $port }}}
        periodSeconds: 5
        timeoutSeconds: 3
      livenessProbe:
        httpGet: {path: /health, port: {{ $port }}}
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 6
      {{- end }}
      {{- with .preStop }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ . }}}
      {{- end }}
      securityContext:
        {{- include "parley.containerSecurity" (dict "root" $root "part" .part) | nindent 8 }}
      resources:
        {{- include "parley.resources" (dict "part" .part) | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/parley/parley.yaml
          subPath: parley.yaml
          readOnly: true
        {{- if $secrets }}
        - name: secrets
          mountPath: /etc/parley/secrets
          readOnly: true
        {{- end }}
        {{- if and .store (ne $root.Values.store.source "example") }}
        {{- include "parley.storeMount" $root | nindent 8 }}
        {{- end }}
        {{- if $actions }}
        - name: actions
          mountPath: /etc/parley/actions
          readOnly: true
        {{- end }}
        {{- if $tls }}
        - name: temporal
          mountPath: /etc/parley/temporal
          readOnly: true
        {{- end }}
        {{- with .part.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "parley.component" (dict "root" $root "component" "config") }}
    {{- if $secrets }}
    - name: secrets
      secret:
        secretName: {{ include "parley.secretName" $root }}
        defaultMode: 0440
        items:
          {{- range $secrets }}
          - {key: {{ . }}, path: {{ . }}}
          {{- end }}
    {{- end }}
    {{- if and .store (ne $root.Values.store.source "example") }}
    {{- include "parley.storeVolume" $root | nindent 4 }}
    {{- end }}
    {{- if $actions }}
    - name: actions
      secret:
        secretName: {{ $actions }}
        defaultMode: 0440
    {{- end }}
    {{- if $tls }}
    - name: temporal
      secret:
        secretName: {{ $root.Values.temporal.tls.existingSecret }}
        defaultMode: 0440
        items:
          - {key: ca.crt, path: ca.crt}
          {{- if $root.Values.temporal.tls.mutual }}
          - {key: tls.crt, path: tls.crt}
          - {key: tls.key, path: tls.key}
          {{- end }}
    {{- end }}
    {{- with .part.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* parley.workers: the workers that run, by name, merged with workerDefaults, as YAML */}}
{{- define "parley.workers" -}}
{{- $workers := dict }}
{{- range $name, $worker := .Values.workers }}
{{- if $worker.enabled }}
{{- $_ := set $workers $name (mergeOverwrite (deepCopy $.Values.workerDefaults) (deepCopy $worker)) }}
{{- end }}
{{- end }}
{{- toYaml $workers }}
{{- end }}

{{/* parley.buildID: which version of Parley's code the image holds */}}
{{- define "parley.buildID" -}}
{{- $id := .Values.versioning.buildID }}
{{- if not $id }}
{{- $id = .Values.image.digest | trimPrefix "sha256:" | trunc 16 | default .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- regexReplaceAll "[^a-zA-Z0-9_.-]" $id "-" | trimAll "-_." | trunc 100 }}
{{- end }}

{{/* parley.deploymentName: the name of the worker deployment in Temporal. A namespace may serve several stores. */}}
{{- define "parley.deploymentName" -}}
{{- printf "parley-%s" .Values.store.id }}
{{- end }}

{{/* parley.workerPod: the pod template of a worker:
     (dict "root" $ "name" "conversation" "worker" <merged values>) */}}
{{- define "parley.workerPod" -}}
{{- $root := .root }}
{{- $worker := .worker }}
{{- $pools := $worker.pools }}
{{- $versioned := and (has "conversation" $pools) (ne $root.Values.versioning.kind "none") }}
{{- $settings := dict "pools" $pools "stop_timeout" (printf "%ds" (int $worker.stopSeconds)) }}
{{- with $worker.slots }}
{{- $_ := set $settings "slots" . }}
{{- end }}
{{- $grace := int $worker.graceSeconds }}
{{- if $versioned }}
{{- $_ := set $settings "drain" (printf "%ds" (int $root.Values.versioning.drainSeconds)) }}
{{- /* The controller gives each version its own name and build id. */}}
{{- if eq $root.Values.versioning.kind "promote" }}
{{- $_ := set $settings "deployment" (include "parley.deploymentName" $root) }}
{{- $_ := set $settings "build_id" (include "parley.buildID" $root) }}
{{- end }}
{{- $grace = add (int $root.Values.versioning.drainSeconds) (int $worker.stopSeconds) 30 | int }}
{{- end }}
{{- $secrets := list "media_token" "payload_keys" "temporal_api_key" }}
{{- if or (has "stt" $pools) (has "tts" $pools) }}
{{- $secrets = append $secrets "speech_key" }}
{{- end }}
{{- if has "llm" $pools }}
{{- $secrets = append $secrets "llm_key" }}
{{- end }}
{{- if has "retrieval" $pools }}
{{- $secrets = append $secrets "qdrant_key" }}
{{- end }}
{{- include "parley.ownPod" (dict
      "root" $root "component" (printf "worker-%s" .name) "part" $worker
      "args" (list "worker") "settings" $settings "secrets" $secrets
      "store" true "actions" (has "action" $pools)
      "ports" (dict "metrics" 9100) "ready" "/ready" "grace" $grace) }}
{{- end }}
