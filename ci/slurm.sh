#!/usr/bin/env bash
# A private Slurm cluster of one node behind a private OpenSSH server, for tests: on free loopback ports, in a temporary
# directory, without accounting.
#
#   ci/slurm.sh run COMMAND…    start it, run COMMAND with BELVEDERE_TEST_SLURM set to its directory, stop and delete it
#   ci/slurm.sh start DIR       start it in DIR (made if missing)
#   ci/slurm.sh stop DIR        stop it and delete DIR
#
# And for tests of faults, while it runs:
#
#   ci/slurm.sh signal DIR SERVER SIGNAL   to munged, slurmctld, slurmd or sshd; KILL waits until it is gone, and takes
#                                          the connections of sshd with it
#   ci/slurm.sh again DIR SERVER           start one that is gone
#   ci/slurm.sh cut DIR                    cut all connections of SSH; what runs at their other end goes on
#
# Needs root. Packages that are missing are installed with apt-get. Jobs run as an ordinary user `belvedere-test`, who is
# made if missing. Where `apptainer` is on the PATH, a real image of busybox is made, and the test of images runs too.
set -euo pipefail

say() { printf 'slurm: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
USER_NAME=belvedere-test

install_if_missing() {
    local p missing=()
    for p in munge slurmctld slurmd slurm-client openssh-server openssh-client; do
        dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
    done
    [ ${#missing[@]} = 0 ] || {
        say "installing ${missing[*]}"
        # RUNLEVEL=1 keeps the packages from starting servers of their own.
        env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
        env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
    }
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if is_free "$port"; then echo "$port"; return; fi
    done
}

# until_done SECONDS WHAT COMMAND…
until_done() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { tail -n 20 "$DIR"/log/*.out >&2; die "no $what"; }
        sleep 0.2
    done
}

# server NAME: runs it in the background and notes its number.
server() {
    local name=$1 command
    case $name in
    munged)
        command=(setpriv --reuid=munge --regid=munge --clear-groups munged --foreground --key-file="$DIR/munge/key"
            --socket="$DIR/munge/socket" --pid-file="$DIR/munge/pid" --log-file="$DIR/munge/log" --seed-file="$DIR/munge/seed")
        ;;
    slurmctld) command=(slurmctld -D) ;;
    slurmd) command=(slurmd -D -N "$(hostname -s)") ;;
    sshd) command=("$(command -v sshd)" -D -e -f "$DIR/sshd_config") ;;
    *) die "there is no server $name" ;;
    esac
    SLURM_CONF=$DIR/slurm.conf setsid nohup "${command[@]}" </dev/null >>"$DIR/log/$name.out" 2>&1 &
    echo $! >"$DIR/$name.pid"
}

number() { cat "$DIR/$1.pid" || die "there is no server $1"; }

# signal NAME SIGNAL
signal() {
    local pid
    pid=$(number "$1")
    if [ "$1 $2" = 'sshd KILL' ]; then
        # Its connections would outlive it; none comes meanwhile.
        kill -STOP "$pid"
        cut_sessions
    fi
    kill "-$2" -- "-$pid"
    [ "$2" != KILL ] || timeout 20 tail --pid="$pid" -f /dev/null || die "$1 does not end"
}

# Every process of sshd below this one, but none that it runs for a user.
sessions() {
    local child
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" = sshd ] || continue
        sessions "$child"
        echo "$child"
    done
}

cut_sessions() {
    local pid
    # One that has just ended is no trouble.
    for pid in $(sessions "$(number sshd)"); do kill -KILL "$pid" 2>/dev/null || true; done
}

image() {
    local root=$DIR/image a
    command -v apptainer >/dev/null || { say "no apptainer on the PATH: the test of images is left out"; return 0; }
    command -v busybox >/dev/null || { say "no busybox: the test of images is left out"; return 0; }
    mkdir -p "$root"/{bin,dev,etc,home,mnt,proc,root,sys,tmp,var/tmp}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for a in $("$root/bin/busybox" --list); do [ "$a" = busybox ] || ln -s busybox "$root/bin/$a"; done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    apptainer build -F "$DIR/shared/busybox.sif" "$root" >"$DIR/log/image.out" 2>&1 || { cat "$DIR/log/image.out" >&2; die "no image"; }
    chmod 644 "$DIR/shared/busybox.sif"
}

start() {
    [ "$(id -u)" = 0 ] || die "needs root"
    install_if_missing
    mkdir -p "$1"
    DIR=$(cd "$1" && pwd)
    chmod 755 "$DIR"
    id "$USER_NAME" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$USER_NAME"
    # No password is good, but the account is not locked, which would shut out keys as well.
    usermod -p '*' "$USER_NAME"
    local host home ctld slurmd ssh key
    host=$(hostname -s); home=$(getent passwd "$USER_NAME" | cut -d: -f6)
    ctld=$(free_port); slurmd=$(free_port); ssh=$(free_port)
    mkdir -p "$DIR"/{log,spool,state,munge,keys}
    install -d -m 1777 "$DIR/shared"
    chown slurm: "$DIR/state"; chown munge: "$DIR/munge"
    head -c 1024 /dev/urandom >"$DIR/munge/key"; chown munge: "$DIR/munge/key"; chmod 400 "$DIR/munge/key"
    echo 'CgroupPlugin=cgroup/v1' >"$DIR/cgroup.conf"
    cat >"$DIR/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$ctld
SlurmUser=slurm
AuthType=auth/munge
AuthInfo=socket=$DIR/munge/socket
CredType=cred/munge
StateSaveLocation=$DIR/state
SlurmctldPidFile=$DIR/state/pid
SlurmdPidFile=$DIR/spool/pid
SlurmdSpoolDir=$DIR/spool
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
MailProg=$(command -v true)
ReturnToService=2
MessageTimeout=3
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,bf_interval=5,sched_interval=5
KillWait=3
NodeName=$host NodeAddr=127.0.0.1 Port=$slurmd CPUs=4 RealMemory=2048 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES DefMemPerCPU=256 DefaultTime=10 MaxTime=60 State=UP
CONF
    export SLURM_CONF=$DIR/slurm.conf
    server munged
    until_done 20 "credential of munge" munge --socket="$DIR/munge/socket" -n
    server slurmctld
    until_done 30 "answer of slurmctld" bash -c 'scontrol ping | grep -q UP'
    server slurmd
    until_done 60 "idle node" bash -c 'sinfo -hN -o %t | grep -qx idle'

    for key in host stranger client; do ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$DIR/keys/$key"; done
    echo "[127.0.0.1]:$ssh $(cut -d' ' -f1,2 "$DIR/keys/host.pub")" >"$DIR/known_hosts"
    echo "[127.0.0.1]:$ssh $(cut -d' ' -f1,2 "$DIR/keys/stranger.pub")" >"$DIR/known_hosts.wrong"
    cat >"$DIR/sshd_config" <<CONF
ListenAddress 127.0.0.1:$ssh
HostKey $DIR/keys/host
PidFile none
AuthorizedKeysFile $DIR/keys/client.pub
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
AllowUsers $USER_NAME
UseDNS no
SetEnv SLURM_CONF=$DIR/slurm.conf PATH=$DIR/bin:$PATH
CONF
    # A test that wants to catch a submission in its middle makes it wait.
    mkdir -p "$DIR/bin"
    printf '#!/bin/sh\nwhile [ -e %s ]; do sleep 0.05; done\nexec %s "$@"\n' "$DIR/shared/hold" "$(command -v sbatch)" >"$DIR/bin/sbatch"
    chmod 755 "$DIR/bin/sbatch"
    # Noise of a login shell, which must do no harm.
    printf 'echo "Welcome to the cluster"\nexport SQUEUE_FORMAT=%%i SBATCH_EXPORT=ALL\n' >"$home/.bashrc"
    mkdir -p "$(getent passwd sshd | cut -d: -f6)"
    server sshd
    until_done 20 "answer of sshd" ssh-keyscan -T 2 -p "$ssh" 127.0.0.1
    image
    cat >"$DIR/clusters.toml" <<CONF
[clusters.real]
driver = "slurm"
transport = { kind = "openssh", host = "127.0.0.1", port = $ssh, user = "$USER_NAME", identity_file = "$DIR/keys/client", known_hosts = "$DIR/known_hosts" }
remote_root = "$DIR/shared/tasks"
poll_seconds = 1
command_seconds = 60
message_timeout_seconds = 3
retry_seconds = 1
lost_after_seconds = 30
container = { runtime = "apptainer", program = "$(command -v apptainer || echo /usr/bin/apptainer)", image_dir = "$DIR/shared", optional = true }
[clusters.real.instance_types]
nowhere = { partition = "nowhere" }
CONF
    say "Slurm $(sinfo -V | cut -d' ' -f2) behind 127.0.0.1:$ssh"
}

stop() {
    local dir=$1 name pid
    [ -d "$dir" ] || return 0
    if [ -r "$dir/slurm.conf" ]; then SLURM_CONF=$dir/slurm.conf timeout 20 scancel --user="$USER_NAME" 2>/dev/null || true; sleep 1; fi
    for name in sshd slurmd slurmctld munged; do
        [ -r "$dir/$name.pid" ] || continue
        pid=$(cat "$dir/$name.pid")
        kill -CONT "$pid" 2>/dev/null || true
        kill -TERM -- "-$pid" 2>/dev/null || true
        timeout 10 tail --pid="$pid" -f /dev/null || kill -KILL -- "-$pid" 2>/dev/null || true
    done
    rm -rf -- "${dir:?}"
}

run() {
    local dir status=0
    dir=$(mktemp -d "${TMPDIR:-/tmp}/belvedere-slurm.XXXXXX")
    # shellcheck disable=SC2064 # the directory of now
    trap "stop '$dir'" EXIT
    start "$dir"
    BELVEDERE_TEST_SLURM=$dir "$@" || status=$?
    return "$status"
}

case ${1:-} in
run) shift; [ $# -gt 0 ] || die "run what?"; run "$@" ;;
start) [ $# = 2 ] || die "start needs a directory"; start "$2" ;;
stop) [ $# = 2 ] || die "stop needs a directory"; stop "$2" ;;
signal) [ $# = 4 ] || die "signal what?"; DIR=$2; signal "$3" "$4" ;;
again) [ $# = 3 ] || die "start what again?"; DIR=$2; server "$3" ;;
cut) [ $# = 2 ] || die "cut needs a directory"; DIR=$2; cut_sessions ;;
*) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
