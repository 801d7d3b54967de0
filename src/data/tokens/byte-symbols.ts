/**
 * GPT-2's printable stand-in for each byte: itself where printable, else the next free character
 * from U+0100 on.
 */
export const byteSymbols: readonly string[] = makeSymbols();

/** The byte that a stand-in means. */
export const byteOfSymbol: ReadonlyMap<string, number> = new Map(byteSymbols.map((symbol, byte) => [symbol, byte]));

function makeSymbols(): string[] {
  let free = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : free++);
  });
}
