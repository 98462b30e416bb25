#!/usr/bin/env bash
# ios_demo/linux/install_swift.sh: Swift for Linux from Debian 13's own package, in a folder of its own: 450 MB to load,
# 2.7 GB on disk. Needs mmdebstrap. Does nothing where Swift is there already. The last line is where it is.
set -euo pipefail
ROOT=${POCKET_SWIFT_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/pocket-dslr/swift-debian-13}
if command -v swift > /dev/null; then
  command -v swift
elif [ -e "$ROOT/usr/libexec/swift/bin/swift-test" ]; then
  echo "$ROOT"
else
  command -v mmdebstrap > /dev/null || { echo "install_swift.sh: mmdebstrap is not installed; apt-get install mmdebstrap" >&2; exit 1; }
  mkdir -p "$(dirname "$ROOT")"
  PART=$(mktemp -d "$ROOT.part.XXXXXX")
  trap 'rm -rf "$PART"' EXIT
  # Headers of C and C++ by name: Swift's Foundation needs them, and packages that are recommended are left out.
  mmdebstrap --quiet --variant=apt --include=swiftlang,libc6-dev,libstdc++-14-dev,git \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    trixie "$PART" >&2
  chmod 755 "$PART"
  mv "$PART" "$ROOT"
  echo "$ROOT"
fi
