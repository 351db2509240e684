#!/bin/sh
# Installs, through apt, the packages that a target needs and that are missing.
# Nothing is done, and no network used, when nothing is missing.
#   deps.sh demo|test|bench
set -eu

demo="mmdebstrap debian-archive-keyring zstd curl iproute2"
test="$demo qemu-system-x86 e2fsprogs xfsprogs busybox-static tmux strace openssh-client procps util-linux lua5.1 neovim"
bench="$demo lua5.1 e2fsprogs xfsprogs gcc libc6-dev runc crun bubblewrap lxc systemd-container"

case ${1-} in
demo) want=$demo ;;
test) want=$test ;;
bench) want=$bench ;;
*) echo "usage: deps.sh demo|test|bench" >&2; exit 2 ;;
esac

command -v go >/dev/null || {
	echo "deps: no go in PATH: install Go 1.26 or newer" >&2
	exit 1
}
command -v dpkg-query >/dev/null || {
	echo "deps: not a Debian system: see to it yourself that these are there: $want" >&2
	exit 0
}

missing=
for p in $want; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || { echo "deps: missing, and only root can install them:$missing" >&2; exit 1; }
	as_root=sudo
fi
echo "deps: installing$missing"
# Peers come with services (lxc-net, dnsmasq): installing must start none.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
	$as_root chmod 755 $policy
	trap '$as_root rm -f $policy' EXIT
fi
$as_root apt-get -q update
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
