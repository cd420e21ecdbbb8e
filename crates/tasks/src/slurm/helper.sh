# What the server asks of a Slurm cluster: helper.sh MARK ROOT SECONDS VERB [ARGUMENT…]
# A constant text, brought once and named by its hash. Every argument is a plain name, number or path; what users wrote comes
# only on standard input, and is data. The answer stands between two marks, so that whatever a login shell says around it
# does no harm; the second mark carries the exit code.
mark=$1 root=$2 seconds=$3 verb=$4
shift 4
export LC_ALL=C SLURM_TIME_FORMAT=%s
unset SQUEUE_FORMAT SQUEUE_FORMAT2 SQUEUE_STATES SQUEUE_SORT SACCT_FORMAT SLURM_CLUSTERS SBATCH_EXPORT
umask 022
# A connection that is cut must not end this in its middle.
trap '' PIPE
us=$(printf '\037')

away() { printf '%s\n' "$1"; return 75; }

# Slurm's commands may wait for ever.
limited() { timeout -k 5 "$seconds" "$@"; }

# jobs_of NAMES SINCE : number, name, state, … of jobs with these names, from the queue and from accounting.
listing() { # [--name=…]
    limited squeue --me --noheader --states=all "$@" -o "%i$us%j$us%T$us%r$us%V$us%S$us%N"
}

accounting() { # NAMES SINCE
    out=$(limited sacct --noheader --parsable2 --delimiter="$us" -D -X --name="$1" -S "$2" \
        -o JobID,JobName,State,Reason,Submit,Start,NodeList,ExitCode 2>&1)
    code=$?
    case $code:$out in
    0:*) [ -z "$out" ] || printf '%s\n' "$out" ;;
    *accounting*disabled* | *"not running a supported accounting_storage plugin"*) return 0 ;;
    *) printf '%s\n' "$out" >&2; return 1 ;;
    esac
}

# known TAG SINCE : the number of a job with this name; nothing if there is none; fails if nobody knows.
known() {
    if [ -s "$root/$1/claim/job" ]; then cat "$root/$1/claim/job"; return; fi
    found=$(listing --name="$1") || return 1
    [ -n "$found" ] || found=$(accounting "$1" "$2") || return 1
    printf '%s' "$found" | head -n 1 | cut -d "$us" -f 1
}

case_ping() {
    limited scontrol ping | head -n 3
    sbatch --version
}

begin() { # FOLDER
    mkdir -p "$root/.incoming" || return 1
    # What was left when a connection was cut for good.
    find "$root/.incoming" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} + 2>/dev/null
    mkdir "$root/.incoming/$1" && cd "$root/.incoming/$1" && mkdir files data output env
}

case_bring() { # FOLDER TAG LAST; on standard input a line SIZE SHA256 NAME for each file, and its bytes
    if [ -d "$root/$2" ]; then echo there; return 0; fi
    begin "$1" || return 1
    sums=
    while read -r size sum name; do
        head -c "$size" >"$name" || return 1
        sums="$sums$sum  $name
"
    done
    printf '%s' "$sums" | sha256sum -c --quiet - || return 65
    [ "$3" != last ] || case_commit "$1" "$2"
}

case_drop() { rm -rf "$root/.incoming/$1"; }

case_put() { # FOLDER NAME SIZE SHA256
    to=$root/.incoming/$1/$2
    cat >"$to" || return 1
    case $(sha256sum "$to") in "$4 "*) ;; *) echo "$2 did not arrive as it was sent"; return 65 ;; esac
}

case_has() { [ -f "$root/.data/$1" ] && echo yes || echo no; }

case_keep() { # SHA256 : a file of a dataset, for this and later attempts
    mkdir -p "$root/.data" || return 1
    to=$root/.data/.$1.$mark
    cat >"$to" || return 1
    case $(sha256sum "$to") in "$1 "*) mv "$to" "$root/.data/$1" ;; *) rm -f "$to"; echo "a file of the dataset did not arrive as it was sent"; return 65 ;; esac
}

# arrived SHA256 : moves what has come to its place, if it is what was meant.
arrived() {
    to=$root/.data/.$1.$mark
    case $(sha256sum "$to") in "$1 "*) mv "$to" "$root/.data/$1" ;; *) rm -f "$to"; echo "a file of the dataset did not arrive as it was sent"; return 65 ;; esac
}

case_copy() { # SHA256 ; the path of a file of the server, which this machine sees, too, on standard input
    IFS= read -r path
    mkdir -p "$root/.data" || return 1
    cp -- "$path" "$root/.data/.$1.$mark" || { rm -f "$root/.data/.$1.$mark"; return 1; }
    arrived "$1"
}

case_pull() { # SHA256 SECONDS ; an address on standard input
    IFS= read -r url
    mkdir -p "$root/.data" || return 1
    to=$root/.data/.$1.$mark
    # The address is good for who has it: neither program gets it as an argument.
    if command -v curl >/dev/null; then
        printf 'url = "%s"\n' "$url" | timeout -k 5 "$2" curl -fsS --config - --output "$to" 2>&1
    elif command -v wget >/dev/null; then
        printf '%s\n' "$url" | timeout -k 5 "$2" wget -q --input-file=- --output-document="$to" 2>&1
    else
        echo "neither curl nor wget is there to fetch files with"
        false
    fi || { rm -f "$to"; echo "a file of the dataset could not be fetched from the server"; return 1; }
    arrived "$1"
}

case_link() { # FOLDER NAME SHA256
    touch "$root/.data/$3" && { ln "$root/.data/$3" "$root/.incoming/$1/$2" 2>/dev/null || cp "$root/.data/$3" "$root/.incoming/$1/$2"; }
}

case_commit() { # FOLDER TAG
    if [ -d "$root/$2" ]; then rm -rf "$root/.incoming/$1"; return 0; fi
    mv -T "$root/.incoming/$1" "$root/$2"
}

case_submit() { # TAG SINCE KIND ENTRY STYLE PYTHON RUNTIME IMAGE [OPTION…]
    tag=$1 since=$2 kind=$3 entry=$4 style=$5 python=$6 runtime=$7 image=$8
    shift 8
    [ "$entry" != - ] || entry=
    [ "$runtime" != - ] || runtime=
    [ "$image" != - ] || image=
    cd "$root/$tag" || { echo "the folder of the attempt is gone"; return 1; }
    if [ -s receipt ]; then printf 'taken %s\n' "$(cat receipt)"; return 0; fi
    # One submission at a time for each attempt; a lock whose holder is gone is old.
    if ! mkdir lock 2>/dev/null; then
        [ -n "$(find lock -maxdepth 0 -mmin +5 2>/dev/null)" ] || away "another submission is under way" || return
        rmdir lock 2>/dev/null
        mkdir lock 2>/dev/null || away "another submission is under way" || return
    fi
    submit_locked "$@"
    code=$?
    rmdir lock 2>/dev/null
    return $code
}

submit_locked() {
    job=$(known "$tag" "$since") || { away "whether there is a job already is not known: $job"; return; }
    if [ -n "$job" ]; then
        printf '%s' "$job" >receipt.tmp && mv receipt.tmp receipt
        printf 'taken %s\n' "$job"
        return 0
    fi
    # Beyond this line there may be a job, whatever is answered.
    out=$(limited sbatch --parsable --no-requeue --dependency=singleton --export=NONE --job-name="$tag" --comment="$tag" \
        --chdir="$root/$tag" --output="$root/$tag/job.log" --open-mode=append --signal=B:TERM@60 "$@" \
        "$root/$tag/job.sh" "$root/$tag" "$kind" "$entry" "$style" "$python" "$runtime" "$image" 2>&1)
    code=$?
    case $code in
    0)
        job=$(printf '%s\n' "$out" | sed -n 's/^\([0-9][0-9]*\)\(;.*\)\{0,1\}$/\1/p' | tail -n 1)
        [ -n "$job" ] || { printf 'unknown %s\n' "$out"; return 0; }
        printf '%s' "$job" >receipt.tmp && mv receipt.tmp receipt
        printf 'taken %s\n' "$job"
        ;;
    *) printf 'failed %s %s\n' "$code" "$out" ;;
    esac
}

case_lookup() { # TAG SINCE
    cd "$root/$1" 2>/dev/null && [ -s receipt ] && { cat receipt; return 0; }
    limited scontrol ping | grep -q ' UP' || { away "the controller does not answer"; return; }
    job=$(known "$1" "$2") || { away "the queue does not answer"; return; }
    [ -z "$job" ] || { [ ! -d "$root/$1" ] || { printf '%s' "$job" >"$root/$1/receipt.tmp" && mv "$root/$1/receipt.tmp" "$root/$1/receipt"; }; }
    printf '%s' "$job"
}

case_list() { listing; }

case_evidence() { # SINCE ; tags on standard input
    since=$1 names=
    while read -r tag; do
        [ -d "$root/$tag" ] || continue
        names=$names,$tag
        claim=$(head -c 32 "$root/$tag/claim/job" 2>/dev/null | tr -cd '0-9_')
        silent=
        if [ -f "$root/$tag/alive" ]; then silent=$(($(date +%s) - $(stat -c %Y "$root/$tag/alive"))); fi
        result=
        if [ -f "$root/$tag/result.json" ] && [ ! -L "$root/$tag/result.json" ]; then result=$(head -c 16385 "$root/$tag/result.json" | base64 -w 0); fi
        printf 'E%s%s%s%s%s%s%s%s\n' "$us" "$tag" "$us" "$claim" "$us" "$silent" "$us" "$result"
    done
    [ -n "$names" ] || return 0
    # Accounting may be away while files tell enough.
    accounting "${names#,}" "$since" 2>/dev/null | sed "s/^/A$us/"
    return 0
}

case_cancel() { limited scancel --me --name="$1"; }

case_tails() { # MAX ; tag, place in out, place in err on standard input
    while read -r tag out err; do
        for stream in "out $out" "err $err"; do
            name=${stream% *} from=${stream#* } file=$root/$tag/${stream% *}
            if [ ! -f "$file" ] || [ -L "$file" ]; then printf '%s %s 0 \n' "$tag" "$name"; continue; fi
            size=$(stat -c %s "$file")
            if [ "$size" -le "$from" ]; then printf '%s %s %s \n' "$tag" "$name" "$size"; continue; fi
            printf '%s %s %s %s\n' "$tag" "$name" "$size" "$(tail -c "+$((from + 1))" "$file" | head -c "$1" | base64 -w 0)"
        done
    done
}

case_outputs() { # TAG MAX
    cd "$root/$1/output" || return 1
    # One entry more than asked for tells that there is more. Names end with a NUL.
    find . -mindepth 1 ! -type d -printf '%y %n %s %P\0' 2>/dev/null | head -z -n "$(($2 + 1))"
}

case_get() { # TAG MAX ; the path on standard input
    IFS= read -r path
    cd "$root/$1/output" || return 1
    case $(realpath -- "$path") in "$(realpath .)"/*) ;; *) return 1 ;; esac
    [ -f "$path" ] && [ ! -L "$path" ] && [ "$(stat -c '%h' -- "$path")" = 1 ] || return 1
    head -c "$2" -- "$path"
}

case_remove() { # TAG
    case $1 in bv-*) rm -rf "${root:?}/$1" ;; *) return 1 ;; esac
}

case_folders() {
    cd "$root" 2>/dev/null || return 0
    for folder in bv-*; do [ ! -d "$folder" ] || printf '%s\n' "$folder"; done
}

case_trim() { # MINUTES
    [ ! -d "$root/.data" ] || find "$root/.data" -type f -mmin "+$1" -delete
    [ ! -d "$root/.incoming" ] || find "$root/.incoming" -mindepth 1 -maxdepth 1 -mmin "+$1" -exec rm -rf {} +
}

case_facts() {
    printf 'sbatch %s\n' "$(sbatch --version 2>&1 | head -n 1)"
    printf 'controller %s\n' "$(limited scontrol ping 2>&1 | head -n 1)"
    printf 'time %s\n' "$(date +%s)"
    if mkdir -p "$root" 2>/dev/null && [ -w "$root" ]; then printf 'root ok\n'; else printf 'root not writable\n'; fi
    printf 'requeue %s\n' "$(scontrol show config 2>/dev/null | sed -n 's/^JobRequeue *= *//p')"
    printf 'messagetimeout %s\n' "$(scontrol show config 2>/dev/null | sed -n 's/^MessageTimeout *= *//p')"
    printf 'accounting %s\n' "$(scontrol show config 2>/dev/null | sed -n 's/^AccountingStorageType *= *//p')"
    for image in "$@"; do if [ -e "$image" ]; then printf 'path %s ok\n' "$image"; else printf 'path %s missing\n' "$image"; fi; done
}

printf '\036BEGIN %s\036' "$mark"
case $verb in
ping | bring | drop | put | has | keep | copy | pull | link | commit | submit | lookup | list | evidence | cancel | tails | outputs | get | remove | folders | trim | facts) "case_$verb" "$@" 2>&1 ;;
*) echo "there is no verb $verb"; false ;;
esac
printf '\036END %s %d\036' "$mark" "$?"
