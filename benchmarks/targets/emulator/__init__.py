"""An emulated ARM64 phone: Debian's arm64 adbd and the runtimes of the wheels, under QEMU, in private namespaces."""
