#compdef portals
# portals itself tells the words that may come next.
_portals() {
    local -a found
    found=("${(@f)$(portals completions words -- "${(@)words[1,CURRENT]}" 2>/dev/null)}")
    found=("${(@)found//$'\t'/:}")
    if [[ -n $found ]]; then
        _describe portals found
    else
        _files
    fi
}
if [[ $funcstack[1] == _portals ]]; then
    _portals "$@"
else
    compdef _portals portals
fi
