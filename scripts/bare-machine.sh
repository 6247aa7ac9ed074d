#!/usr/bin/env bash
# scripts/bare-machine.sh <root directory> [command…]
# Shows what a newcomer meets: makes a minimal Debian in the directory (kept for the next time; remove it for a fresh one), gives it this
# machine's node and npm, clones what is committed here into it, and runs the command there (.ci/run) with processes, mounts, network
# and engine of its own. Needs root, debootstrap, git, iproute2, iptables and util-linux. What it started ends with it.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 1 ] || { sed -n '2,5s/^# //p' "$0"; exit 2; }
[ "$(id -u)" = 0 ] || { echo 'bare-machine: needs root' >&2; exit 1; }
for tool in debootstrap git ip iptables nsenter unshare pivot_root node npm; do
  command -v "$tool" >/dev/null || { echo "bare-machine: needs $tool" >&2; exit 1; }
done
mkdir -p "$1"
root=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- .ci/run
name="pipes-bare-$$"
subnet=10.215.255

main() {
  trap finish EXIT
  [ -e "$root/etc/debian_version" ] || make_system
  copy_settings
  copy_node
  rm -rf "$root/srv/pipes"
  git clone --quiet --no-local "$project" "$root/srv/pipes"
  connect
  enter "$@"
}

make_system() {
  # shellcheck source=/dev/null
  local suite mirror
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -nE 's/^(URIs: *|deb (\[[^]]*\] )?)(https?:[^ ]+).*/\3/p' | head -n 1 || true)
  debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} >/dev/null
}

# How this machine reaches packages is how that one does.
copy_settings() {
  mkdir -p "$root/etc/apt" "$root/etc/ssl/certs" "$root/usr/share/keyrings" "$root/usr/etc" "$root/root"
  rm -f "$root/etc/apt/sources.list"
  cp -rT /etc/apt "$root/etc/apt"
  cp -r /usr/share/keyrings/. "$root/usr/share/keyrings/"
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  local file
  for file in /etc/ssl/certs/ca-certificates.crt /root/.npmrc /usr/etc/npmrc "${NODE_EXTRA_CA_CERTS:-}"; do
    [ ! -f "$file" ] || install -D "$file" "$root$file"
  done
}

copy_node() {
  local modules
  modules=$(npm root --global 2>/dev/null)
  mkdir -p "$root$modules" "$root/usr/local/bin"
  cp -L "$(command -v node)" "$root/usr/local/bin/node"
  cp -rT "$modules/npm" "$root$modules/npm"
  ln -sf "$modules/npm/bin/npm-cli.js" "$root/usr/local/bin/npm"
  ln -sf "$modules/npm/bin/npx-cli.js" "$root/usr/local/bin/npx"
}

# A network of its own, so that its engine's bridges and firewall are its own; packages come in through this machine.
connect() {
  ip netns add "$name"
  ip link add "pb$$" type veth peer name eth0 netns "$name"
  ip addr add "$subnet.1/30" dev "pb$$"
  ip link set "pb$$" up
  ip -n "$name" addr add "$subnet.2/30" dev eth0
  ip -n "$name" link set eth0 up
  ip -n "$name" link set lo up
  ip -n "$name" route add default via "$subnet.1"
  sysctl -qw net.ipv4.ip_forward=1
  firewall -I
}

firewall() {
  iptables -w "$1" FORWARD -i "pb$$" -j ACCEPT
  iptables -w "$1" FORWARD -o "pb$$" -j ACCEPT
  iptables -w -t nat "$1" POSTROUTING -s "$subnet.0/30" ! -o "pb$$" -j MASQUERADE
}

enter() {
  # shellcheck disable=SC2016 # expanded inside
  # Not by `ip netns exec`: it hides the cgroups below a /sys of its own.
  nsenter --net="/run/netns/$name" unshare --mount --pid --uts --fork --kill-child bash -ceu '
    root=$1; shift
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    hostname bare
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    cd "$root"
    mkdir -p .outside
    pivot_root . .outside
    cd /
    umount -l /.outside
    cd /srv/pipes
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-}" "$@"
  ' bare "$root" "$@"
}

finish() {
  local code=$?
  ip netns del "$name" 2>/dev/null || true
  ip link del "pb$$" 2>/dev/null || true
  firewall -D 2>/dev/null || true
  exit "$code"
}

main "$@"
