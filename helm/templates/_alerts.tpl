{{/* parley.alertGroups: files/alerts.yaml as Prometheus's rule groups, with what the
     values say. deploy/prometheus/alerts.yml is made of the same. */}}
{{- define "parley.alertGroups" -}}
{{- $alerts := .Values.monitoring.alerts }}
{{- $selector := printf "namespace=%q" .Release.Namespace }}
{{- if kindIs "string" $alerts.selector }}
{{- $selector = $alerts.selector }}
{{- end }}
{{- $pools := list }}
{{- range include "parley.workers" . | fromYaml }}
{{- $pools = concat $pools .pools }}
{{- end }}
{{- range $group := (.Files.Get "files/alerts.yaml" | fromYaml).groups }}
{{- $rules := list }}
{{- range $alert := $group.alerts }}
{{- $rule := get $alerts.rules $alert.alert }}
{{- if $rule.enabled }}
{{- range $pool := ternary ($pools | uniq | sortAlpha) (list "") (hasKey $alert "eachPool") }}
{{- $labels := mergeOverwrite (dict "severity" $rule.severity) (deepCopy $alerts.ruleLabels) }}
{{- if $pool }}
{{- $_ := set $labels "pool" $pool }}
{{- end }}
{{- $texts := dict }}
{{- range $key := list "expr" "summary" "description" }}
{{- $text := get $alert $key | replace "<pool>" $pool | replace "<threshold>" (toString $rule.threshold) | replace "<window>" (toString $rule.window) }}
{{- if not $selector }}
{{- $text = $text | replace ",<selector>" "" | replace "{<selector>}" "" }}
{{- end }}
{{- if not $alerts.gpuSelector }}
{{- $text = $text | replace "{<gpuSelector>}" "" }}
{{- end }}
{{- $_ := set $texts $key ($text | replace "<selector>" $selector | replace "<gpuSelector>" $alerts.gpuSelector) }}
{{- end }}
{{- $annotations := dict "summary" $texts.summary "description" $texts.description "runbook_url" (printf "%s#%s" $alerts.runbookURL (lower $alert.alert)) }}
{{- $rules = append $rules (dict "alert" $alert.alert "expr" $texts.expr "for" $rule.for "labels" $labels "annotations" $annotations) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $rules }}
- name: {{ $group.name }}
  rules:
    {{- toYaml $rules | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}
