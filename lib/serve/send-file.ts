/** A stretch of a file, in bytes. */
export interface Stretch {
  path: string;
  start: number;
  end: number;
}

/** A stretch of a file, or the single range of it that the client asks for (RFC 9110 §14). */
export function sendFile(
  request: Request,
  { path, start, end }: Stretch,
  headers: Record<string, string> = {},
): Response {
  const total = end - start;
  const range = /^bytes=(?=.*\d)(\d*)-(\d*)$/.exec(request.headers.get("range") ?? "");
  let [from, to] = [0, total];
  if (range) {
    from = range[1] ? Number(range[1]) : Math.max(0, total - Number(range[2]));
    to = range[1] && range[2] ? Math.min(total, Number(range[2]) + 1) : total;
    if (from >= to) return new Response(null, { status: 416, headers: { "content-range": `bytes */${total}` } });
  }
  const part = Bun.file(path).slice(start + from, start + to);
  return new Response(request.method === "HEAD" ? null : part, {
    status: range ? 206 : 200,
    headers: {
      ...headers,
      "content-type": "application/octet-stream",
      "content-length": String(to - from),
      "accept-ranges": "bytes",
      ...(range ? { "content-range": `bytes ${from}-${to - 1}/${total}` } : {}),
    },
  });
}
