#!/bin/sh
# Boots the systemd of a root file system in namespaces of its own: ROOT GROUP. Called by test.sh, which ends it by ending
# this process. GROUP is an empty directory in the unified hierarchy of control groups.
set -eu

echo $$ >"$2/cgroup.procs"
# shellcheck disable=SC2016
exec unshare --net --mount --pid --cgroup --uts --ipc --fork --kill-child sh -euc '
    root=$1
    ip link set lo up
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    # What belongs to the kernel belongs to this machine: only the settings of the network are of this namespace.
    mount --rbind "$root/proc/sys" "$root/proc/sys"
    mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -o ro -t sysfs sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    for directory in run tmp dev; do mount -t tmpfs tmpfs "$root/$directory"; done
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    # systemd mounts pts itself. Without this no unit with devices of its own starts.
    ln -s pts/ptmx "$root/dev/ptmx"
    cd "$root"
    mkdir -p old
    pivot_root . old
    umount -l old
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=everypath-test /lib/systemd/systemd </dev/null' - "$1"
