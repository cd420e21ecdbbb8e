#!/bin/sh
# Runs one attempt on a node: job.sh DIR KIND ENTRY STYLE PYTHON RUNTIME IMAGE
# The same text for every attempt. It claims the folder, so that of several jobs with one name one alone runs the program,
# starts the program, says every half minute that it lives, and notes how it ended.
set -u
dir=$1 kind=$2 entry=$3 style=$4 python=$5 runtime=$6 image=$7
cd "$dir" || exit 72
if mkdir claim 2>/dev/null; then
    printf '%s' "$SLURM_JOB_ID" >claim/job.tmp && mv claim/job.tmp claim/job || exit 72
elif [ "$(cat claim/job 2>/dev/null)" = "$SLURM_JOB_ID" ]; then
    exit 74
else
    exit 73
fi
# What this job starts inside itself sees its variables again.
export SLURM_EXPORT_ENV=ALL
started=$(date +%s)
terminated=false
: >alive
(while sleep 30; do : >alive; done) &
beat=$!

set -- /bin/sh "$dir/start.sh" "$dir" "$kind" "$entry" "$style" "$python"
if [ -n "$image" ]; then
    # A clean environment inside. No text of users: Apptainer reads variables that are passed so as a shell does.
    [ -z "${CUDA_VISIBLE_DEVICES-}" ] ||
        export "APPTAINERENV_CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES" "SINGULARITYENV_CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"
    nv=
    [ -z "${CUDA_VISIBLE_DEVICES-}" ] || nv=--nv
    set -- "$runtime" -q exec --containall --no-home --cleanenv $nv --bind "$dir:$dir:ro" --bind "$dir/files:$dir/files" \
        --bind "$dir/output:$dir/output" --pwd "$dir/files" "$image" "$@"
fi
"$@" >>out 2>>err </dev/null &
child=$!
trap 'terminated=true; kill -TERM "$child" 2>/dev/null' TERM
while :; do
    wait "$child"
    code=$?
    # A signal for us ends the wait, not the child.
    kill -0 "$child" 2>/dev/null || break
done
kill "$beat" 2>/dev/null
host=$(hostname | tr -cd 'A-Za-z0-9.-')
printf '{"exit":%d,"terminated":%s,"started":%d,"ended":%d,"host":"%s"}' \
    "$code" "$terminated" "$started" "$(date +%s)" "$host" >result.tmp && mv result.tmp result.json
exit "$code"
