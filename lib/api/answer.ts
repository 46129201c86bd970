import type { Dispatcher } from "undici/index.js";
import { KubestickError, reason } from "../errors.ts";
import { BodyLimitError, readBody } from "../net/body.ts";
import { AnswerError, ApiError, ConnectError } from "./errors.ts";
import { mapOf } from "./fields.ts";
import { jsonExcess } from "./shape.ts";

/** The largest answer that is read of a server that refuses. */
const MAX_REFUSAL = 64 * 1024;

/** The whole body of an answer, and its content type. */
export interface Answer {
  data: Buffer;
  type: string;
}

/** undici's errors for what is no HTTP, and its assertions where a server's answer is one that it did not think of. */
const NO_HTTP =
  /^(HTTPParserError|HeadersOverflowError|ResponseContentLengthMismatchError|AssertionError)$|bad (response|upgrade)/;

/** Why there was no answer that can be used: an error of kubestick's own stays as it is. */
export function failureOf(what: string, server: string, error: unknown): KubestickError {
  if (error instanceof KubestickError) return error;
  const name = (error as { name?: unknown } | null)?.name;
  if (error instanceof BodyLimitError)
    return new AnswerError(what, server, error.message, { tooLarge: true, cause: error });
  if (NO_HTTP.test(String(name)) || NO_HTTP.test(reason(error)))
    return new AnswerError(what, server, `it sends what is no HTTP (${reason(error)})`, { cause: error });
  return new ConnectError(what, server, error);
}

/** An answer's JSON object. Throws AnswerError when it is anything else. */
export function objectOf({ data, type }: Answer, what: string, server: string): Record<string, unknown> {
  const excess = jsonExcess(data);
  if (excess) throw new AnswerError(what, server, excess, { tooLarge: true });
  let value: unknown;
  try {
    value = JSON.parse(data.toString("utf8"));
  } catch (error) {
    const page = /html/i.test(type) || /^\s*</.test(data.toString("latin1", 0, 64));
    throw new AnswerError(
      what,
      server,
      page ? "it sends a web page" : `it sends no JSON (${reason(error).slice(0, 100)})`,
    );
  }
  const object = mapOf(value);
  if (object) return object;
  throw new AnswerError(what, server, "it sends JSON that is no object");
}

/** A refusal in the server's own words. */
export async function refusalOf(what: string, response: Dispatcher.ResponseData): Promise<ApiError> {
  const text = (await readBody(response.body, MAX_REFUSAL).catch(() => "")).toString();
  let message = /^\s*</.test(text) ? "" : text.trim().slice(0, 300);
  try {
    message = String((JSON.parse(text) as { message?: unknown }).message ?? message).slice(0, 1_000);
  } catch {
    // Not a Status object; a proxy in between answers in words of its own.
  }
  const seconds = Number(response.headers["retry-after"]);
  return new ApiError(what, response.statusCode, message, seconds > 0 ? { retryAfterMs: seconds * 1000 } : {});
}
