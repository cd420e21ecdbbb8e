#!/usr/bin/env bash
# A real Apptainer for tests, on a Debian that has no package of it: without a daemon, without set-uid.
#
#   ci/apptainer.sh install    put it in BELVEDERE_APPTAINER_DIR (default /var/cache/belvedere/apptainer), which any user may
#                              enter, unless it is there, and print the folder of its programs
#
# The package of Debian's development branch wants a newer C library than a stable Debian has. So that package and its
# libraries are unpacked, not installed, and its programs are told to use those; nothing of the machine's own changes. Needs
# root and apt-get. Where it cannot be had this says so and exits with status 3.
set -euo pipefail

DIR=${BELVEDERE_APPTAINER_DIR:-/var/cache/belvedere/apptainer}
PACKAGES=(apptainer libc6 libseccomp2 libsqlite3-0)

say() { printf 'apptainer: %s\n' "$*" >&2; }
skip() { say "skipped: $*"; exit 3; }

tools() {
    local p missing=()
    for p in patchelf squashfs-tools busybox-static debian-archive-keyring; do
        dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
    done
    [ ${#missing[@]} = 0 ] || {
        say "installing ${missing[*]}"
        DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || skip "apt-get update failed"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
            skip "${missing[*]} could not be installed"
    }
}

fetch() {
    local list=$DIR/apt mirror keyring p apt
    mkdir -p "$list"/{lists/partial,cache/archives/partial,packages} "$DIR/root/lib"
    # The mirror that this machine uses, in a list that only this script reads.
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(COMPONENT)' 'Label: Debian' | sed -n 's/ main$//p' | head -n 1)
    [ -n "$mirror" ] || skip "apt-get knows no mirror of Debian"
    keyring=$(dpkg -L debian-archive-keyring | grep '/debian-archive-keyring\.gpg$')
    echo "deb [signed-by=$keyring] $mirror sid main" >"$list/list"
    apt=(apt-get -qq -o Dir::Etc::sourcelist="$list/list" -o Dir::Etc::sourceparts=- -o Dir::State::Lists="$list/lists"
        -o Dir::Cache="$list/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root)
    "${apt[@]}" update >&2 || skip "the list of Debian's development branch cannot be fetched"
    (cd "$list/packages" && "${apt[@]}" download "${PACKAGES[@]/%//sid}" >&2) || skip "its packages cannot be fetched"
    for p in "${PACKAGES[@]}"; do
        if [ "$p" = apptainer ]; then dpkg-deb -x "$list/packages/$p"_*.deb "$DIR/root"
        else dpkg-deb -x "$list/packages/$p"_*.deb "$DIR/root/lib"; fi
    done
    rm -rf -- "$list"
}

install() {
    [ "$(id -u)" = 0 ] || skip "it needs root"
    command -v apt-get >/dev/null || skip "there is no apt-get"
    tools
    local loader starter p
    rm -rf -- "${DIR:?}"
    mkdir -p "$DIR/bin"
    fetch
    loader=$(find "$DIR/root/lib" -name 'ld-linux-*.so.*' -type f | head -n 1)
    starter=$(find "$DIR/root/usr" -path '*/apptainer/bin/starter')
    for p in "$DIR/root/usr/bin/apptainer" "$starter"; do
        patchelf --set-interpreter "$loader" "$p"
        patchelf --force-rpath --set-rpath "$(dirname "$loader")" "$p"
    done
    # It looks for its settings and its mount point beside its programs, the starter one folder further down.
    mv "$DIR/root/etc" "$DIR/root/usr/etc"
    ln -s ../etc "$DIR/root/usr/lib/etc"
    mkdir -p "$DIR/root/usr/var/lib/apptainer/mnt/session" "$DIR/root/usr/lib/var/lib/apptainer/mnt/session"
    # Where users may not use FUSE, an image is unpacked for each run instead of being mounted.
    cat >"$DIR/bin/apptainer" <<WRAPPER
#!/bin/sh
[ -w /dev/fuse ] || export APPTAINER_UNSQUASH="\${APPTAINER_UNSQUASH:-1}"
exec "$DIR/root/usr/bin/apptainer" "\$@"
WRAPPER
    chmod 755 "$DIR/bin/apptainer"
    say "$("$DIR/bin/apptainer" --version)"
}

case ${1:-} in
install)
    "$DIR/bin/apptainer" --version >/dev/null 2>&1 || install
    echo "$DIR/bin"
    ;;
*) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
