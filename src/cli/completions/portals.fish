# portals itself tells the words that may come next.
function __portals
    set -l found (portals completions words -- (commandline -opc) (commandline -ct) 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c portals -f -a '(__portals)'
