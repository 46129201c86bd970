import { ARCHITECTURES } from "../constants/oci.ts";

/** So many bytes of a program are enough to say what it is for: `e_machine` ends there (System V ABI, elf.h). */
export const ELF_HEAD_BYTES = 20;

/** Whether a file that begins with these bytes is a program for Linux. */
export const isElf = (head: Buffer): boolean => head.length >= 4 && head.readUInt32BE(0) === 0x7f454c46;

/** The Go name of the architecture that a program is for, out of its first ELF_HEAD_BYTES; undefined for anything else. */
export function elfArchitecture(head: Buffer): string | undefined {
  if (head.length < ELF_HEAD_BYTES || !isElf(head)) return undefined;
  // EI_DATA 1 is little-endian, as both of ours are (System V ABI).
  const machine = head[5] === 1 ? head.readUInt16LE(18) : -1;
  return Object.entries(ARCHITECTURES).find(([, number]) => number === machine)?.[0];
}
