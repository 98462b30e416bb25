"""The CPUs that the emulated phone can have: what QEMU is asked for, and what /proc/cpuinfo says of it."""

from __future__ import annotations

from dataclasses import dataclass

ARMV8_0 = "fp asimd aes pmull sha1 sha2 crc32 cpuid"
ARMV8_2 = "fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
CORES = 2


@dataclass(frozen=True)
class Cpu:
    """qemu: its `-cpu`. part: number of the core in MIDR. features: as the kernel names them."""

    qemu: str
    part: str
    features: str

    @property
    def cpuinfo(self) -> str:
        """QEMU 7.2 shows the host's own file, and LiteRT crashes on it."""
        core = (f"BogoMIPS\t: 100.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
                f"CPU variant\t: 0x0\nCPU part\t: {self.part}\nCPU revision\t: 1\n\n")  # fmt: skip
        return "".join(f"processor\t: {at}\n{core}" for at in range(CORES))


CPUS = {
    "cortex-a53": Cpu("cortex-a53", "0xd03", ARMV8_0),  # small cores, and all cores of cheap phones
    "cortex-a72": Cpu("cortex-a72", "0xd08", ARMV8_0),
    "cortex-a76": Cpu("cortex-a76", "0xd0b", ARMV8_2),  # dot products of 8 bits; phones since 2019
    # Matrix products of 8 bits, as in phones since 2022. With SVE, QEMU 7.2 gives wrong 8-bit results.
    "i8mm": Cpu("max,sve=off,sme=off", "0xd47", f"{ARMV8_2} i8mm bf16"),
}
