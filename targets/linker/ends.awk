# Makes an assembly file of LLVM for mipsel smaller: the ends of functions that restore the same registers
# exist once. LLVM does this for RISC-V (`-msave-restore`), but not for MIPS. Such an end
#
#     lw $16, 28($sp)
#     lw $17, 32($sp)
#     lw $ra, 36($sp)
#     jr $ra
#     addiu $sp, $sp, 40
#
# becomes
#
#     j __restore_16_17_ra
#     addiu $sp, $sp, 28
#
# The instruction after a jump, in its delay slot, runs before the target of the jump.

BEGIN {
    SAVED = "^(1[6-9]|2[0-3]|fp|ra)$"
    JUMP = "^(j|jr|jal|jalr|b|bal|beq|bne|beqz|bnez|blez|bgtz|bltz|bgez|bltzal|bgezal|bc1t|bc1f)$"
}

{
    line[NR] = $0
}

END {
    for (i = 1; i <= NR; i++) {
        # An end whose first instruction is in the slot of another jump stays as it is.
        length_of_end = in_slot ? 0 : end(i)
        if (length_of_end) i += length_of_end - 1
        else print line[i]
        name = length_of_end ? "" : instruction(i)
        in_slot = name ~ JUMP || in_slot && name == ""
    }
    for (registers in shared) names[++count] = registers
    sort(names, count)
    for (i = 1; i <= count; i++) print_end(names[i])
}

# Splits a line into its words, and returns the instruction; its operands are word[3] and those behind it.
function instruction(i) {
    if (line[i] !~ /^\t[a-z]/) return ""
    split(line[i], word, /[\t ,()$]+/)
    return word[2]
}

# Prints the jump in place of an end that begins here, and returns the number of its lines; 0 if no end does.
function end(i,    count, first, registers, text) {
    while (instruction(i + count) == "lw" && word[3] ~ SAVED && word[5] == "sp") {
        if (!count) first = word[4]
        if (word[4] != first + 4 * count) return 0
        registers = registers "_" word[3]
        text = text "\tlw\t$" word[3] ", " 4 * count "($sp)\n"
        count++
    }
    if (count < 2 || word[2] != "jr" || word[3] != "ra") return 0
    if (instruction(i + count + 1) != "addiu" || word[3] != "sp" || word[4] != "sp") return 0
    if (word[5] != first + 4 * count) return 0
    shared[registers] = text "\tjr\t$ra\n\taddiu\t$sp, $sp, " 4 * count "\n"
    print "\tj\t__restore" registers
    print first ? "\taddiu\t$sp, $sp, " first : "\tnop"
    return count + 2
}

function print_end(registers) {
    print "\t.section\t.text.__restore" registers ",\"ax\",@progbits"
    print "\t.p2align\t2"
    print "\t.type\t__restore" registers ",@function"
    print "\t.set\tnoreorder\n\t.set\tnomacro"
    printf "__restore%s:\n%s", registers, shared[registers]
    print "\t.size\t__restore" registers ", .-__restore" registers
}

# Sorts a short list, so that the file is the same each time.
function sort(list, count,    i, k, moved) {
    for (i = 2; i <= count; i++) {
        moved = list[i]
        for (k = i - 1; k && list[k] > moved; k--) list[k + 1] = list[k]
        list[k + 1] = moved
    }
}
