#!/usr/bin/env bash
# ios_demo/linux/swift.sh swift test: runs a command of the Swift toolchain in the project's root, by the system's Swift
# or by the one that install_swift.sh made. The project and /tmp are where they are outside.
set -euo pipefail
ROOT=${POCKET_SWIFT_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/pocket-dslr/swift-debian-13}
PROJECT=$(cd "$(dirname "$0")/../.." && pwd)
if command -v swift > /dev/null; then
  cd "$PROJECT"
  exec "$@"
fi
[ -e "$ROOT/usr/libexec/swift/bin/swift-test" ] || { echo "swift.sh: no Swift here; ios_demo/linux/install_swift.sh installs it" >&2; exit 69; }
[ "$(id -u)" = 0 ] && USERS=() || USERS=(--user --map-root-user)
exec unshare "${USERS[@]}" --mount --pid --fork bash -euc '
  root=$1 project=$2
  shift 2
  mount --rbind /dev "$root/dev"
  mount -t proc proc "$root/proc"
  mount --bind /tmp "$root/tmp"
  mkdir -p "$root$project"
  mount --bind "$project" "$root$project"
  exec chroot "$root" /usr/bin/env --chdir="$project" HOME=/tmp LC_ALL=C.UTF-8 \
    PATH=/usr/libexec/swift/bin:/usr/bin:/bin "$@"
' bash "$ROOT" "$PROJECT" "$@"
