/**
 * A handler that costs a fixed amount of CPU, not of time: where threads compete for a core it takes longer, as
 * real work does. How many iterations make 20 ms is found by `measure/calibrate.ts`.
 */
export function spin(iterations: number): number {
  let state = 0x2545f491;
  for (let i = 0; i < iterations; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
  }
  return state;
}

export default function heavy(payload: { iterations: number }): number {
  return spin(payload.iterations);
}
