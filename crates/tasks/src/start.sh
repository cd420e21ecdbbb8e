#!/bin/sh
# Starts the program of a task, inside its sandbox or container: start.sh DIR KIND ENTRY STYLE PYTHON
# KIND is script or command; STYLE says how the program learns its paths. The same text for every task: what users
# wrote is only ever a file or the content of one.
set -u
dir=$1 kind=$2 entry=$3 style=$4 python=$5
# Variables are files, so that they mean the same inside a container; @/ stands for the folder.
for file in "$dir"/env/*; do
    name=${file##*/}
    case $name in TASK_INPUT | TASK_INDEX | MLFLOW_TRACKING_URI | MLFLOW_ALLOW_FILE_STORE | MLFLOW_EXPERIMENT_NAME | MLFLOW_RUN_ID) ;; *) continue ;; esac
    # The last line has no end.
    IFS= read -r value <"$file" || :
    case $value in @/*) value=$dir/${value#@/} ;; esac
    export "$name=$value"
done
export TASK_DIR="$dir" TASK_PARAMS="$dir/params.json" TASK_OUTPUT="$dir/output" PYTHONUNBUFFERED=1
cd "$dir/files" || exit 66
case $entry in
*.[zZ][iI][pP]) "$python" -m zipfile -e "$entry" . || exit 65 ;;
*.[tT][aA][rR] | *.[tT][aA][rR].[gG][zZ] | *.[tT][gG][zZ]) tar --no-same-owner --no-same-permissions -xf "$entry" || exit 65 ;;
esac
case $kind in
command) set -- /bin/sh "$dir/command.sh" ;;
*) case $entry in
    *.sh) set -- /bin/sh "./$entry" ;;
    *) set -- "$python" "./$entry" ;;
    esac ;;
esac
case $style in
flags) set -- "$@" "--input_path=$TASK_INPUT" "--output_path=$TASK_OUTPUT" ;;
positional) set -- "$@" "$TASK_INPUT" "$TASK_OUTPUT" ;;
esac
exec "$@"
