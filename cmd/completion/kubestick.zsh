#compdef kubestick
# Completes kubestick in zsh; kubestick itself knows the words. To use it: source <(kubestick completion zsh)
_kubestick() {
  local line value kind=:none
  local -a candidates
  for line in "${(@f)$("${(Q)words[1]}" __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    value=${line%%$'\t'*}
    case $line in
      :*) kind=$line ;;
      *$'\t'*) candidates+=("${value//:/\\:}:${line#*$'\t'}") ;;
      ?*) candidates+=("${value//:/\\:}") ;;
    esac
  done
  (( $#candidates )) && _describe kubestick candidates
  [[ $kind == :none ]] && return
  # After --flag= only the value is replaced.
  compset -P '--*='
  if [[ $kind == :directory ]]; then _files -/; else _files; fi
}
if [[ ${funcstack[1]} == _kubestick ]]; then _kubestick "$@"; else compdef _kubestick kubestick; fi
