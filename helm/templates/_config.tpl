{{/* What Parley's parts are told: parley.yaml for all of them, the environment for
     what one of them has alone. */}}

{{/* parley.settings: parley.yaml as a map. What the chart knows, then .Values.config. */}}
{{- define "parley.settings" -}}
{{- $known := dict
      "store" (include "parley.storeDir" .)
      "temporal" (include "parley.temporalAddress" .)
      "namespace" .Values.temporal.namespace }}
{{- if and .Values.temporal.tls.enabled (not .Values.temporal.devServer.enabled) }}
{{- $_ := set $known "temporal_tls" true }}
{{- with .Values.temporal.tls.serverName }}
{{- $_ := set $known "temporal_server_name" . }}
{{- end }}
{{- if .Values.temporal.tls.existingSecret }}
{{- $_ := set $known "temporal_tls_ca" "/etc/parley/temporal/ca.crt" }}
{{- if .Values.temporal.tls.mutual }}
{{- $_ := set $known "temporal_tls_cert" "/etc/parley/temporal/tls.crt" }}
{{- $_ := set $known "temporal_tls_key" "/etc/parley/temporal/tls.key" }}
{{- end }}
{{- end }}
{{- end }}
{{- with include "parley.speechURL" . }}
{{- $_ := set $known "speech" . }}
{{- end }}
{{- if or .Values.speaches.enabled .Values.speaches.url }}
{{- $_ := set $known "stt_model" .Values.speaches.sttModel }}
{{- $_ := set $known "tts_model" .Values.speaches.ttsModel }}
{{- end }}
{{- /* An empty address, so that nothing looks for Ollama on its own host. */}}
{{- $_ := set $known "ollama" (include "parley.ollamaURL" .) }}
{{- /* Said, and not found out by whether Ollama answers when a worker starts: the two may start together. */}}
{{- if $known.ollama }}
{{- $_ := set $known "embed" "ollama" }}
{{- $_ := set $known "embed_model" .Values.ollama.embedModel }}
{{- else }}
{{- $_ := set $known "embed" "none" }}
{{- end }}
{{- if .Values.kserve.enabled }}
{{- $_ := set $known "llm" "openai" }}
{{- $_ := set $known "llm_url" (include "parley.kserveURL" .) }}
{{- $_ := set $known "llm_model" .Values.kserve.model }}
{{- else if and $known.ollama .Values.ollama.llmModel (not (get .Values.config "llm")) }}
{{- $_ := set $known "llm" "ollama" }}
{{- $_ := set $known "llm_model" .Values.ollama.llmModel }}
{{- end }}
{{- with include "parley.qdrantAddress" . }}
{{- $_ := set $known "qdrant" . }}
{{- end }}
{{- toYaml (mergeOverwrite $known (deepCopy .Values.config)) }}
{{- end }}

{{/* parley.setting: a value as the environment holds it: lists a,b and maps a=1,b=2 */}}
{{- define "parley.setting" -}}
{{- if kindIs "string" . }}
{{- . }}
{{- else if kindIs "slice" . }}
{{- join "," . }}
{{- else if kindIs "map" . }}
{{- $pairs := list }}
{{- range $key, $value := . }}
{{- $pairs = append $pairs (printf "%s=%s" $key (include "parley.setting" $value)) }}
{{- end }}
{{- join "," $pairs }}
{{- else }}
{{- toJson . }}
{{- end }}
{{- end }}

{{/* parley.secretKeys: those of `keys` that the Secret has, as a YAML list:
     (dict "root" $ "keys" (list "media_token")) */}}
{{- define "parley.secretKeys" -}}
{{- $there := list }}
{{- range .keys }}
{{- if has . $.root.Values.secrets.keys }}
{{- $there = append $there . }}
{{- end }}
{{- end }}
{{- toYaml $there }}
{{- end }}

{{/* The store's folder in a pod. */}}
{{- define "parley.storeDir" -}}
{{- if eq .Values.store.source "example" -}}
/usr/share/parley/examples/{{ .Values.store.example }}
{{- else -}}
/etc/parley/store
{{- end }}
{{- end }}

{{/* parley.storeMap: which ConfigMap a file of the store's folder is in: flows, prompts or kb */}}
{{- define "parley.storeMap" -}}
{{- $top := regexFind "^[^/]+" . }}
{{- if eq $top "prompts" }}prompts{{ else if has $top (list "kb" "media") }}kb{{ else }}flows{{ end }}
{{- end }}

{{/* parley.storeKey: a path as a ConfigMap's key */}}
{{- define "parley.storeKey" -}}
{{- regexReplaceAll "[^-._a-zA-Z0-9]" (replace "/" "__" .) "_" }}
{{- end }}

{{/* parley.storeConfigMap: one of the store's ConfigMaps: (dict "root" $ "map" "flows") */}}
{{- define "parley.storeConfigMap" -}}
{{- $texts := dict }}
{{- $binaries := dict }}
{{- range $path, $text := .root.Values.store.files }}
{{- if eq (include "parley.storeMap" $path) $.map }}
{{- $_ := set $texts (include "parley.storeKey" $path) $text }}
{{- end }}
{{- end }}
{{- range $path, $base64 := .root.Values.store.binaryFiles }}
{{- if eq (include "parley.storeMap" $path) $.map }}
{{- $_ := set $binaries (include "parley.storeKey" $path) $base64 }}
{{- end }}
{{- end }}
{{- if or $texts $binaries -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "parley.metadata" (dict "root" .root "component" .map) | nindent 2 }}
{{- with $texts }}
data:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $binaries }}
binaryData:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* parley.storeVolume: the store's folder as a volume; `example` needs none */}}
{{- define "parley.storeVolume" -}}
{{- if eq .Values.store.source "files" }}
{{- $items := dict "flows" list "prompts" list "kb" list }}
{{- range $path := concat (keys .Values.store.files) (keys .Values.store.binaryFiles) | sortAlpha }}
{{- $map := include "parley.storeMap" $path }}
{{- $_ := set $items $map (append (get $items $map) (dict "key" (include "parley.storeKey" $path) "path" $path)) }}
{{- end -}}
- name: store
  projected:
    sources:
      {{- range $map := list "flows" "prompts" "kb" }}
      {{- with get $items $map }}
      - configMap:
          name: {{ include "parley.component" (dict "root" $ "component" $map) }}
          items:
            {{- toYaml . | nindent 12 }}
      {{- end }}
      {{- end }}
{{- else if eq .Values.store.source "claim" -}}
- name: store
  persistentVolumeClaim:
    claimName: {{ .Values.store.claim.existingClaim | default (include "parley.component" (dict "root" . "component" "data")) }}
    readOnly: true
{{- else if eq .Values.store.source "image" -}}
- name: store
  {{- if .Values.store.image.copy }}
  emptyDir:
    sizeLimit: 256Mi
  {{- else }}
  image:
    reference: {{ include "parley.image" (dict "root" . "image" .Values.store.image) }}
    pullPolicy: {{ .Values.store.image.pullPolicy }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "parley.storeMount" -}}
- name: store
  mountPath: /etc/parley/store
  {{- if and (eq .Values.store.source "image") (not .Values.store.image.copy) .Values.store.image.path }}
  subPath: {{ .Values.store.image.path }}
  {{- end }}
  readOnly: true
{{- end }}

{{/* The init container that copies the folder out of its image, where a cluster
     cannot mount images. */}}
{{- define "parley.storeCopy" -}}
- name: store
  image: {{ include "parley.image" (dict "root" . "image" .Values.store.image) }}
  imagePullPolicy: {{ .Values.store.image.pullPolicy }}
  command: [cp, -R, /{{ .Values.store.image.path | trimPrefix "/" | trimSuffix "/" }}/., /etc/parley/store/]
  securityContext:
    {{- toYaml .Values.containerSecurityContext | nindent 4 }}
  resources:
    requests: {cpu: 50m, memory: 32Mi}
    limits: {cpu: 200m, memory: 64Mi}
  volumeMounts:
    - name: store
      mountPath: /etc/parley/store
{{- end }}

{{/* Changes whenever a part of Parley must start anew to see a change. */}}
{{- define "parley.configChecksum" -}}
{{- printf "%s\n%s\n%s" (include "parley.settings" .) (toJson .Values.store) (toJson .Values.secrets.keys) | sha256sum }}
{{- end }}
