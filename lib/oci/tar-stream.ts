import { BLOCK, TarHeaders, type TarMember, tarError } from "./tar-header.ts";

/** Takes a member's bytes, a piece at a time, and hears of their end. */
export interface MemberSink {
  data(piece: Buffer): void;
  end(): void;
}

/**
 * Takes a tar apart as it streams by, in constant memory. `open` says for each member where its bytes go; those of a
 * member without a sink are passed over. After the end mark nothing more is looked at. Throws KubestickError.
 */
export class TarStream {
  readonly #path: string;
  readonly #headers: TarHeaders;
  readonly #open: (member: TarMember) => MemberSink | undefined;
  #pending = Buffer.alloc(0);
  /** Bytes of the body, and of the body with what fills its last block, that are still to come. */
  #body = 0;
  #room = 0;
  #sink: MemberSink | undefined;
  #ended = false;

  constructor(path: string, open: (member: TarMember) => MemberSink | undefined) {
    this.#path = path;
    this.#headers = new TarHeaders(path);
    this.#open = open;
  }

  /** Whether the end mark has been seen. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes the next piece; it is not kept. */
  write(piece: Buffer): void {
    for (let at = 0; at < piece.length && !this.#ended; ) {
      if (this.#room > 0) {
        const bytes = piece.subarray(at, at + this.#room);
        at += bytes.length;
        this.#take(bytes);
      } else {
        const block = Buffer.concat([this.#pending, piece.subarray(at, at + BLOCK - this.#pending.length)]);
        at += block.length - this.#pending.length;
        this.#pending = block;
        if (block.length === BLOCK) {
          this.#pending = Buffer.alloc(0);
          this.#header(block);
        }
      }
    }
  }

  /** Says that nothing more comes. Throws KubestickError when the tar had not come to its end. */
  finish(): void {
    if (!this.#ended) throw tarError(this.#path, "it ends without an end mark");
  }

  #take(bytes: Buffer): void {
    const body = bytes.subarray(0, this.#body);
    if (body.length > 0) this.#sink?.data(body);
    this.#body -= body.length;
    this.#room -= bytes.length;
    if (this.#room === 0) this.#close();
  }

  #header(block: Buffer): void {
    const found = this.#headers.read(block);
    if (!found) {
      this.#ended = true;
      return;
    }
    this.#body = found.size;
    this.#room = Math.ceil(found.size / BLOCK) * BLOCK;
    this.#sink = "extension" in found ? this.#extension(found.extension) : this.#open(found);
    if (this.#room === 0) this.#close();
  }

  #close(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.end();
  }

  /** An extended header's body, which TarHeaders keeps small. */
  #extension(extension: string): MemberSink {
    const pieces: Buffer[] = [];
    return {
      data: (piece) => void pieces.push(Buffer.from(piece)),
      end: () => this.#headers.extend(extension, Buffer.concat(pieces)),
    };
  }
}
