/** An answer's body, as undici gives it. */
interface Body extends AsyncIterable<unknown> {
  destroy(): unknown;
}

/** An answer that is larger than whoever asked takes. `limit` in bytes. */
export class BodyLimitError extends Error {
  override name = "BodyLimitError";

  constructor(readonly limit: number) {
    super(`it sends more than ${limit % MIB === 0 ? `${limit / MIB} MiB` : `${limit} bytes`}`);
  }
}

const MIB = 1024 * 1024;

/** The whole of an answer's body, of which no more than `limit` bytes are ever kept. Throws BodyLimitError, or the connection's error. */
export async function readBody(body: Body, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += (chunk as Buffer).length;
    if (size > limit) {
      body.destroy();
      throw new BodyLimitError(limit);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
