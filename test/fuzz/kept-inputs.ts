/** The input of the case that is running: it must be there when its process is gone. */
export const currentName = "current";

/** The kept input of a case that failed. */
export function failureName(seed: number, number: number): string {
  return `case-${seed}-${number}`;
}
