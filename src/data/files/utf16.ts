import { UserError } from "../../errors.ts";

/**
 * UTF-16 recoded as UTF-8, without the byte order mark.
 *
 * @throws UserError at the line where something is no UTF-16: half a pair of surrogates, an odd
 * number of bytes.
 */
export async function* utf8FromUtf16(
  chunks: AsyncIterable<Buffer>,
  encoding: "utf-16le" | "utf-16be",
  file: string,
): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let line = 1;
  const decode = (bytes?: Buffer): Buffer => {
    try {
      return Buffer.from(bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode());
    } catch (cause) {
      throw new UserError("is not valid UTF-16 from about here on", { file, line, hint: "store it as UTF-8", cause });
    }
  };
  for await (const chunk of chunks) {
    const text = decode(chunk);
    yield text;
    for (let at = text.indexOf(0x0a); at >= 0; at = text.indexOf(0x0a, at + 1)) line++;
  }
  decode();
}
