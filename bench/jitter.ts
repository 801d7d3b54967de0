/**
 * Perturbs a weight as the peers do, float32 at each operation: weight * (1 + amount * sin(index)).
 */
export function jitter(data: Float32Array | Float64Array, amount: number): void {
  const { fround } = Math;
  for (let index = 0; index < data.length; index++) {
    data[index]! *= fround(1 + fround(fround(amount) * fround(Math.sin(fround(index)))));
  }
}
