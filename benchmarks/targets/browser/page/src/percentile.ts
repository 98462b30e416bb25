/** Nearest rank: of n samples in ascending order, number max(1, (percent * n + 99) / 100), counted from 1. */
export function percentile(samples: readonly number[], percent: number): number {
  if (!samples.length || !(percent >= 0 && percent <= 100)) throw new Error("no such percentile");
  const rank = Math.max(1, Math.floor((percent * samples.length + 99) / 100));
  return [...samples].sort((one, other) => one - other)[rank - 1];
}
