# Executes the runs of element $1. The status is that of the program: 0 if they are over, 75 if they are to be continued.
element() {
    local only=() at status
    for ((at = $1; at < ${#runs[@]}; at += elements)); do only+=(--only "${runs[at]}"); done
    # The program gets every request to stop as USR1: it ends its step, writes a checkpoint, and exits with 75.
    local program='' signalled=''
    trap 'signalled=yes; [ -z "$program" ] || kill -USR1 "$program" 2>/dev/null' USR1 TERM INT
    "$mtcool" reproduce "${sweep[@]}" "${training[@]}" "${only[@]}" --no-table &
    program=$!
    # A signal ends `wait` early, and then it has to wait again.
    while true; do
        wait "$program"
        status=$?
        [ -n "$signalled" ] || break
        signalled=''
    done
    trap - USR1 TERM INT
    return "$status"
}

# Executes element $1 for Slurm, which starts it again later if it is not over.
element_of_array() {
    local status id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
    element "$1"
    status=$?
    case $status in
    3 | 75 | 143) # 3: another sweep executes a run of this element; 143: the signal came before the program could handle it
        # Slurm also ends a job that a person has cancelled. That one must not come back.
        case $(squeue --noheader --jobs="$id" --format='%T %r') in
        RUNNING* | *TimeLimit)
            trap '' TERM
            echo "element $1 is not over: Slurm will start it again"
            scontrol requeue "$id" || echo "this failed; submit it again: sbatch --array=$1 SCRIPT" >&2
            ;;
        esac
        ;;
    esac
    return "$status"
}

# Executes all elements here, then the table, until a signal or Ctrl-C.
here() {
    local at failed=0
    for ((at = 0; at < elements; at++)); do
        element "$at"
        case $? in
        0 | 3) ;;
        75 | 130 | 143) exit 75 ;;
        *) failed=1 ;;
        esac
    done
    "$mtcool" report "${sweep[@]}" || failed=1
    return "$failed"
}

# Submits the array, and the job of the table, which begins when every element is over, however it ended.
submit() {
    local array table
    if ! command -v sbatch >/dev/null; then
        echo "there is no sbatch on this machine; \`bash $script\` executes the elements without Slurm" >&2
        exit 127
    fi
    array=$(sbatch --parsable "$script") || exit
    array=${array%%;*}
    table=$(sbatch --parsable --dependency="afterany:$array" "${table_job[@]}" --wrap="exec bash $(printf %q "$script") table")
    if [ -z "$table" ]; then
        echo "job $array has the elements, but Slurm did not take the job of the table: \`bash $script table\` writes it afterwards" >&2
        exit 1
    fi
    table=${table%%;*}
    echo "Submitted: job $array with $elements elements, and job $table, which writes the table after them."
    echo "  squeue --jobs=$array,$table    what Slurm does with them"
    echo "  $watch    how far the runs are"
    echo "  scancel $array    ends them; \`bash $script submit\` goes on from the last checkpoints"
}

index=${1:-${SLURM_ARRAY_TASK_ID:-here}}
case $index in
submit) submit ;;
table) exec "$mtcool" report "${sweep[@]}" ;;
here) here ;;
*)
    if ! [[ $index =~ ^[0-9]+$ ]] || ((10#$index >= elements)); then
        echo "unknown element \`$index\`: expected 0 to $((elements - 1)), \`submit\`, \`table\`, or nothing for all elements" >&2
        exit 2
    fi
    if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then element_of_array "$index"; else element "$index"; fi
    ;;
esac
