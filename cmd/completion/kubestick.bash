# Completes kubestick in bash; kubestick itself knows the words. To use it: source <(kubestick completion bash)
_kubestick() {
  local program=$1 word kind=:none IFS=$'\n' words=() lines=()
  [[ $program == "~/"* ]] && program=$HOME/${program#"~/"}
  # bash takes --flag=value apart at the equals sign.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if ((${#words[@]} > 0)) && { [[ $word == = && ${words[-1]} == --* ]] || [[ ${words[-1]} == --*= ]]; }; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done
  mapfile -t lines < <("$program" __complete -- "${words[@]}" 2>/dev/null)
  COMPREPLY=()
  for word in "${lines[@]}"; do
    case $word in
      :*) kind=$word ;;
      *) COMPREPLY+=("${word%%$'\t'*}") ;;
    esac
  done
  # After --flag= only the value is replaced.
  [[ ${words[-1]} == --*=* ]] && COMPREPLY=("${COMPREPLY[@]#"${words[-1]%%=*}="}")
  local current=$2
  [[ $current == = ]] && current=""
  case $kind in
    :file) compopt -o filenames && mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
    :directory) compopt -o filenames && mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current") ;;
  esac
  # A value can go on after a comma or an equals sign.
  [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
  return 0
}
complete -F _kubestick kubestick
