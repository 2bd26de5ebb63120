function __fish_portals_using_command
    set -l cmd (commandline -xpc)
    set -e cmd[1]
    set -l target_cmd $argv

    set -l known_value_flags 'at' 'c' 'config' 'confirm' 'dns' 'endpoint' 'exit' 'id' 'log' 'network' 'output' 'png' 'root' 'site' 'subnet' 'svg' 'to' 'wait' 

    set -l i 1
    set -l cleaned_cmd
    while test $i -le (count $cmd)
        set -l arg $cmd[$i]
        if string match -q -- "-*" $arg
            set -l pure_flag (string replace -r '^--?' '' -- $arg)
            if contains -- $pure_flag $known_value_flags
                set -l next_i (math $i + 1)
                if test $next_i -le (count $cmd)
                    if not string match -q -- "-*" $cmd[$next_i]
                        set i $next_i
                    end
                end
            end
        else
            set -a cleaned_cmd $arg
        end
        set i (math $i + 1)
    end

    set -l count_cleaned (count $cleaned_cmd)
    set -l count_target (count $target_cmd)
    
    if test $count_cleaned -ne $count_target
        return 1
    end
    
    for i in (seq $count_target)
        if test $cleaned_cmd[$i] != $target_cmd[$i]
            return 1
        end
    end
    
    return 0
end

complete -c portals -n '__fish_portals_using_command' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command' -f -l config -s c -r -d 'the network file (default: network.toml in /etc/portals, /config/portals on EdgeOS, /data/portals on UniFi OS)'
complete -c portals -n '__fish_portals_using_command' -f -l verbose -s v -d 'show each change as it is made'
complete -c portals -n '__fish_portals_using_command' -f -l version -s V -d 'print the version and exit'
complete -c portals -n '__fish_portals_using_command' -f -a 'demo' -d 'See it work: two sites, an internet and clients in namespaces of this machine. Needs no root, touches nothing.'
complete -c portals -n '__fish_portals_using_command' -f -a 'init' -d 'Make this site\'s key and a first network file.'
complete -c portals -n '__fish_portals_using_command' -f -a 'plan' -d 'Show what apply would change, one line each. Changes nothing.'
complete -c portals -n '__fish_portals_using_command' -f -a 'apply' -d 'Make the kernel match the network file, once: all of it, or nothing.'
complete -c portals -n '__fish_portals_using_command' -f -a 'confirm' -d 'Keep what `apply --confirm` has changed.'
complete -c portals -n '__fish_portals_using_command' -f -a 'run' -d 'The agent: apply, then stay, watch and repair. SIGHUP reads the file again; SIGTERM ends it and leaves everything in place.'
complete -c portals -n '__fish_portals_using_command' -f -a 'reload' -d 'Have the agent read its network file again, as SIGHUP does, and tell what came of it.'
complete -c portals -n '__fish_portals_using_command' -f -a 'exit' -d 'Have a portal leave at another exit of its list, until the file is read again.'
complete -c portals -n '__fish_portals_using_command' -f -a 'phone' -d 'Devices with an ordinary WireGuard app, which dial a site and leave at its exits.'
complete -c portals -n '__fish_portals_using_command' -f -a 'import' -d 'Make a network file of a file of wg-quick, that has this router do the same; with comments on what is not.'
complete -c portals -n '__fish_portals_using_command' -f -a 'export' -d 'Print files of wg-quick for a site that runs no portals.'
complete -c portals -n '__fish_portals_using_command' -f -a 'down' -d 'Take all of it away again; kernel settings go back to what they were.'
complete -c portals -n '__fish_portals_using_command' -f -a 'status' -d 'Show links, portals and exits: state, age of the handshake, bytes.'
complete -c portals -n '__fish_portals_using_command' -f -a 'install' -d 'Have the agent started at every boot: copies this program to where a firmware upgrade leaves it, writes the boot hook of this platform (systemd, OpenRC, OpenWrt, EdgeOS, UniFi OS), and starts it. Run a newer one again to upgrade.'
complete -c portals -n '__fish_portals_using_command' -f -a 'uninstall' -d 'End the agent, take all of it away as down does, and remove what install wrote. Network file and keys stay.'
complete -c portals -n '__fish_portals_using_command demo' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command demo' -f -l keep -d 'leave it running, with the commands to look around, until Ctrl-C'
complete -c portals -n '__fish_portals_using_command init' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command init' -f -l network -r -d 'name of the network (default: home)'
complete -c portals -n '__fish_portals_using_command init' -f -l site -r -d 'name of this site, up to 12 of a-z 0-9 - (default: this host\'s name)'
complete -c portals -n '__fish_portals_using_command init' -f -l id -r -d 'number of this site, 1 to 250, unique in the network (default: 1)'
complete -c portals -n '__fish_portals_using_command init' -f -l subnet -r -d 'private IPv4 network for tunnels and portal LANs (default: 10.77.0.0/16)'
complete -c portals -n '__fish_portals_using_command init' -f -l endpoint -r -d 'host name or address under which other sites reach this one; leave it out behind NAT'
complete -c portals -n '__fish_portals_using_command plan' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command plan' -f -l commands -d 'print it as a shell script of ip, wg, nft and sysctl lines that does the same by hand'
complete -c portals -n '__fish_portals_using_command plan' -f -l check -d 'exit with status 3 if anything would change'
complete -c portals -n '__fish_portals_using_command apply' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command apply' -f -l confirm -r -d 'go back to what was in force unless `portals confirm` comes within SECONDS, 1 to 86400; also if this shell ends or the machine starts again before'
complete -c portals -n '__fish_portals_using_command confirm' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command confirm' -f -l wait -r -d 'do not confirm, but wait so many seconds for somebody who does, and undo the change if nobody comes: what `apply --confirm` leaves behind where no agent runs'
complete -c portals -n '__fish_portals_using_command run' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command run' -f -l down-on-exit -d 'take everything away again when it ends'
complete -c portals -n '__fish_portals_using_command run' -f -l log -r -d 'write the log to this file, and not to standard error; at 256 kB it becomes FILE.1, and that is gone'
complete -c portals -n '__fish_portals_using_command reload' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command exit' -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command phone' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command phone' -f -a 'add' -d 'Make a phone\'s key, write the phone into the network file, and show the file for its WireGuard app, as a QR code too.'
complete -c portals -n '__fish_portals_using_command phone' -f -a 'show' -d 'Show again the file for the app of a phone that was added with --keep-key.'
complete -c portals -n '__fish_portals_using_command phone add' -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command phone add' -l at -r -d 'the site it dials (default: this one)'
complete -c portals -n '__fish_portals_using_command phone add' -l exit -r -d 'where its traffic leaves: an exit of that site (default: at the site itself)'
complete -c portals -n '__fish_portals_using_command phone add' -l dns -r -d 'resolver that it asks, through its exit; may be given several times (default: 9.9.9.9 and 149.112.112.112)'
complete -c portals -n '__fish_portals_using_command phone add' -l id -r -d 'number of the phone, 1 to 62, unique in the network (default: the lowest that is free)'
complete -c portals -n '__fish_portals_using_command phone add' -l keep-key -d 'keep its private key in phones/NAME.key beside the network file, so that `portals phone show` can show it again'
complete -c portals -n '__fish_portals_using_command phone add' -l png -r -d 'write the QR code as an image to this file, too'
complete -c portals -n '__fish_portals_using_command phone add' -l svg -r -d 'write the QR code as a drawing to this file, too'
complete -c portals -n '__fish_portals_using_command phone add' -l no-qr -d 'show the file without the QR code'
complete -c portals -n '__fish_portals_using_command phone show' -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command phone show' -l png -r -d 'write the QR code as an image to this file, too'
complete -c portals -n '__fish_portals_using_command phone show' -l svg -r -d 'write the QR code as a drawing to this file, too'
complete -c portals -n '__fish_portals_using_command phone show' -l no-qr -d 'show the file without the QR code'
complete -c portals -n '__fish_portals_using_command import' -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command import' -l network -r -d 'name of the network (default: home)'
complete -c portals -n '__fish_portals_using_command import' -l site -r -d 'name of this site, up to 12 of a-z 0-9 - (default: this host\'s name)'
complete -c portals -n '__fish_portals_using_command import' -l id -r -d 'number of this site, 1 to 250 (default: 1, or what addresses tell)'
complete -c portals -n '__fish_portals_using_command import' -l subnet -r -d 'private IPv4 network for tunnels and portal LANs (default: one that the file does not use)'
complete -c portals -n '__fish_portals_using_command import' -l output -r -d 'write it to this file, and not to standard output'
complete -c portals -n '__fish_portals_using_command import' -l keys -d 'put the file of wg-quick and its private key beside the output, as the network file needs them, with mode 600'
complete -c portals -n '__fish_portals_using_command export' -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command export' -l to -r -d 'write them to this folder, one for each interface'
complete -c portals -n '__fish_portals_using_command down' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command status' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command status' -f -l json -d 'print it as JSON'
complete -c portals -n '__fish_portals_using_command status' -f -l prometheus -d 'print it as text for Prometheus, such as for the textfile collector of its node exporter'
complete -c portals -n '__fish_portals_using_command status' -f -l watch -d 'show it again every second until Ctrl-C'
complete -c portals -n '__fish_portals_using_command install' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command install' -f -l root -r -d 'install into this folder, such as an image\'s, and start nothing'
complete -c portals -n '__fish_portals_using_command install' -f -l no-start -d 'do not start the agent now'
complete -c portals -n '__fish_portals_using_command uninstall' -f -l help -d 'display usage information'
complete -c portals -n '__fish_portals_using_command uninstall' -f -l root -r -d 'uninstall from this folder, such as an image\'s'
