# portals itself tells the words that may come next.
_portals() {
    local word
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        [[ $word != "${COMP_WORDS[COMP_CWORD]}"* ]] || COMPREPLY+=("$word")
    done < <("$1" completions words -- "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)
}
complete -o default -F _portals portals
