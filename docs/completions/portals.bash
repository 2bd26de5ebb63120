_portals() {
    local i cur prev opts cmds
    COMPREPLY=()
    cur="${COMP_WORDS[COMP_CWORD]}"
    if [[ $COMP_CWORD -ge 1 ]]; then
        prev="${COMP_WORDS[COMP_CWORD-1]}"
    else
        prev=""
    fi
    cmd=""
    opts=""

    for i in ${COMP_WORDS[@]}; do
        case "${i}" in
            portals | */portals)
                cmd="portals"
                ;;
            demo)
                cmd="portals_demo"
                ;;
            init)
                cmd="portals_init"
                ;;
            plan)
                cmd="portals_plan"
                ;;
            apply)
                cmd="portals_apply"
                ;;
            confirm)
                cmd="portals_confirm"
                ;;
            run)
                cmd="portals_run"
                ;;
            reload)
                cmd="portals_reload"
                ;;
            exit)
                cmd="portals_exit"
                ;;
            phone)
                cmd="portals_phone"
                ;;
            add)
                cmd="portals_phone_add"
                ;;
            show)
                cmd="portals_phone_show"
                ;;
            import)
                cmd="portals_import"
                ;;
            export)
                cmd="portals_export"
                ;;
            down)
                cmd="portals_down"
                ;;
            status)
                cmd="portals_status"
                ;;
            install)
                cmd="portals_install"
                ;;
            uninstall)
                cmd="portals_uninstall"
                ;;
        esac
    done

    case "${cmd}" in
        portals)
            opts="--help --config -c --verbose -v --version -V"
            cmds="demo init plan apply confirm run reload exit phone import export down status install uninstall"
            case "${prev}" in
                --config | -c)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_demo)
            opts="--help --keep"
            case "${prev}" in
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_init)
            opts="--help --network --site --id --subnet --endpoint"
            case "${prev}" in
                --network)
                    COMPREPLY=()
                    return 0
                    ;;
                --site)
                    COMPREPLY=()
                    return 0
                    ;;
                --id)
                    COMPREPLY=()
                    return 0
                    ;;
                --subnet)
                    COMPREPLY=()
                    return 0
                    ;;
                --endpoint)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_plan)
            opts="--help --commands --check"
            case "${prev}" in
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_apply)
            opts="--help --confirm"
            case "${prev}" in
                --confirm)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_confirm)
            opts="--help --wait"
            case "${prev}" in
                --wait)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_run)
            opts="--help --down-on-exit --log"
            case "${prev}" in
                --log)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_reload)
            opts="--help"
            case "${prev}" in
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_exit)
            opts="--help"
            case "${prev}" in
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_phone)
            opts="--help"
            cmds="add show"
            case "${prev}" in
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_phone_add)
            opts="--help --at --exit --dns --id --keep-key --png --svg --no-qr"
            case "${prev}" in
                --at)
                    COMPREPLY=()
                    return 0
                    ;;
                --exit)
                    COMPREPLY=()
                    return 0
                    ;;
                --dns)
                    COMPREPLY=()
                    return 0
                    ;;
                --id)
                    COMPREPLY=()
                    return 0
                    ;;
                --png)
                    COMPREPLY=()
                    return 0
                    ;;
                --svg)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_phone_show)
            opts="--help --png --svg --no-qr"
            case "${prev}" in
                --png)
                    COMPREPLY=()
                    return 0
                    ;;
                --svg)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_import)
            opts="--help --network --site --id --subnet --output --keys"
            case "${prev}" in
                --network)
                    COMPREPLY=()
                    return 0
                    ;;
                --site)
                    COMPREPLY=()
                    return 0
                    ;;
                --id)
                    COMPREPLY=()
                    return 0
                    ;;
                --subnet)
                    COMPREPLY=()
                    return 0
                    ;;
                --output)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_export)
            opts="--help --to"
            case "${prev}" in
                --to)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_down)
            opts="--help"
            case "${prev}" in
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_status)
            opts="--help --json --prometheus --watch"
            case "${prev}" in
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_install)
            opts="--help --root --no-start"
            case "${prev}" in
                --root)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
        portals_uninstall)
            opts="--help --root"
            case "${prev}" in
                --root)
                    COMPREPLY=()
                    return 0
                    ;;
                *)
                    COMPREPLY=( $(compgen -W "${opts} ${cmds}" -- "${cur}") )
                    return 0
                    ;;
            esac
            ;;
    esac
}

complete -F _portals -o bashdefault -o default portals
