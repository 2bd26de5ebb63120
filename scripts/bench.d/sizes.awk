# Sums the sizes of symbols (nm --print-size --demangle --radix=d) by the crate in front of their names;
# prints a row for each crate of 4 kB or more, and one for the rest.
NF >= 4 && $3 ~ /^[tTrRdDwW]$/ {
    name = $4
    for (i = 5; i <= NF; i++) name = name " " $i
    sum[crate_of(name)] += $2
}

END {
    for (crate in sum) {
        if (sum[crate] >= 4096) printf "row %s|%.0f\n", crate, sum[crate] / 1000
        else rest += sum[crate]
    }
    printf "row all others|%.0f\n", rest / 1000
}

function crate_of(name) {
    while (sub(/^(<|&|dyn |mut |\*|const |\[|\()/, "", name)) {}
    if (name ~ /^ring_core/) return "ring"
    if (name !~ /::/) return "libc and assembly"
    sub(/(::|<|>|\[).*/, "", name)
    if (name ~ /^(str|bool|char|[iuf][0-9]+|[iu]size|core|alloc|std)$/) return "std"
    if (name ~ /^(hashbrown|gimli|addr2line|object|miniz_oxide|rustc_demangle)$/) return "std"
    return name ~ /portals(_core)?$/ ? "portals itself" : name
}
